package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

// openapiYAML is the description that the server is generated from, and that it serves.
//
//go:embed openapi.yaml
var openapiYAML []byte

// OpenAPI returns openapi.yaml, which the server is generated from.
func OpenAPI() []byte { return bytes.Clone(openapiYAML) }

var openapiETag = `"` + hexSHA256(openapiYAML) + `"`

const docsPath = "/docs/"

// docsPolicy lets the page load from this host only. The page's own script and styles are inline.
const docsPolicy = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// mountDocs serves the page that shows openapi.yaml under /docs/, and sends / there. All it needs is
// in the binary, so it works without Internet. openapi.yaml itself is an operation of the API: see GetOpenapi.
func mountDocs(r *gin.Engine) {
	page := v5emb.NewHandlerWithConfig(swgui.Config{
		Title:       "Formidling",
		SwaggerJSON: "/openapi.yaml",
		BasePath:    docsPath,
		SettingsUI: map[string]string{
			"showExtensions":        "false",
			"defaultModelRendering": `"model"`,
			"docExpansion":          `"list"`,
			"tryItOutEnabled":       "false",
		},
	})
	toDocs := func(c *gin.Context) { c.Redirect(http.StatusTemporaryRedirect, docsPath) }
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Handle(method, "/", toDocs)
		r.Handle(method, "/docs", toDocs)
		r.Handle(method, docsPath+"*asset", func(c *gin.Context) {
			h := c.Writer.Header()
			h.Set("Cache-Control", "no-cache")
			h.Set("Content-Security-Policy", docsPolicy)
			h.Set("X-Content-Type-Options", "nosniff")
			page.ServeHTTP(c.Writer, c.Request)
		})
	}
}

// serveOpenAPI answers with openapi.yaml, or 304 to a caller that has it. Caches ask again before
// use, so a reader sees the description of the release that it talks to.
func serveOpenAPI(c *gin.Context, ifNoneMatch string) {
	h := c.Writer.Header()
	h.Set("ETag", openapiETag)
	h.Set("Cache-Control", "no-cache")
	if ifNoneMatch == openapiETag {
		c.Status(http.StatusNotModified)
		return
	}
	c.Data(http.StatusOK, "application/yaml", openapiYAML)
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
