package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// echo answers every operation with its name and what the wrapper read.
type echo struct{ contract.ServerInterface } // what a test does not ask for is not there

func say(c *gin.Context, name string, read ...any) {
	c.JSON(http.StatusOK, map[string]any{"name": name, "read": read})
}

func (echo) SearchFileTransfers(c *gin.Context, p contract.SearchFileTransfersParams) {
	say(c, "search", p)
}

func (echo) InitializeFileTransfer(c *gin.Context, p contract.InitializeFileTransferParams) {
	say(c, "initialize", p)
}

func (echo) InitializeAndUpload(c *gin.Context, p contract.InitializeAndUploadParams) {
	say(c, "form", p)
}

func (echo) GetFileTransfer(c *gin.Context, id contract.FileTransferID) { say(c, "overview", id) }

func (echo) CancelFileTransfer(c *gin.Context, id contract.FileTransferID) { say(c, "cancel", id) }

func (echo) ConfirmDownload(c *gin.Context, id contract.FileTransferID) { say(c, "confirm", id) }

func (echo) GetFileTransferDetails(c *gin.Context, id contract.FileTransferID) { say(c, "details", id) }

func (echo) UploadFile(c *gin.Context, id contract.FileTransferID, p contract.UploadFileParams) {
	say(c, "upload", id, p)
}

func (echo) GetResource(c *gin.Context, id contract.ResourceID) { say(c, "resource", id) }

func (echo) PutResource(c *gin.Context, id contract.ResourceID, _ contract.PutResourceParams) {
	say(c, "put resource", id)
}

func (echo) DeleteGrant(c *gin.Context, id contract.ResourceID, o contract.Organization, _ contract.DeleteGrantParams) {
	say(c, "delete grant", id, o)
}

func (echo) PutGrant(c *gin.Context, id contract.ResourceID, o contract.Organization, _ contract.PutGrantParams) {
	say(c, "put grant", id, o)
}

func (echo) GetServiceOwner(c *gin.Context) { say(c, "owner") }

func (echo) CreateServiceOwner(c *gin.Context) { say(c, "create owner") }

func (echo) Health(c *gin.Context) { say(c, "health") }

func (echo) Livez(c *gin.Context) { say(c, "livez") }

func (echo) Readyz(c *gin.Context) { say(c, "readyz") }

func (echo) DownloadFile(c *gin.Context, id contract.FileTransferID, p contract.DownloadFileParams) {
	say(c, "download", id, p)
}

func (echo) HeadFile(c *gin.Context, _ contract.FileTransferID, _ contract.HeadFileParams) {
	c.Header("X-Name", "head")
}

func (echo) GetOpenapi(c *gin.Context, p contract.GetOpenapiParams) {
	known := ""
	if p.IfNoneMatch != nil {
		known = *p.IfNoneMatch
	}
	api.ServeOpenAPI(c, known)
}

func echoServer() *gin.Engine {
	gin.SetMode(gin.TestMode)
	r := gin.New()
	contract.RegisterHandlersWithOptions(r, echo{}, contract.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, status int) {
			e, _ := models.AsError(web.ParameterError(err))
			c.JSON(status, e.Fields)
		},
	})
	api.MountDocs(r)
	return r
}

func do(t *testing.T, h http.Handler, method, url string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRoutes_ReachTheOperationTheyName(t *testing.T) {
	t.Parallel()
	r := echoServer()
	const id = `"3fa85f64-5717-4562-b3fc-2c963f66afa6"`
	for _, c := range []struct{ method, path, want string }{
		{"POST", "/broker/api/v1/filetransfer", `"name":"initialize"`},
		{"POST", "/broker/api/v1/filetransfer/upload", `"name":"form"`},
		{"POST", apitest.SomeTransfer + "/upload", `"name":"upload","read":[` + id},
		{"GET", apitest.SomeTransfer, `"name":"overview","read":[` + id},
		{"GET", "/broker/api/v1/filetransfer?resourceId=a&limit=7&orderAscending=true&status=published", `"limit":7`},
		{"GET", apitest.SomeTransfer + "/details", `"name":"details"`},
		{"GET", apitest.SomeTransfer + "/download", `"name":"download"`},
		{"POST", apitest.SomeTransfer + "/confirmdownload", `"name":"confirm"`},
		{"POST", apitest.SomeTransfer + "/cancel", `"name":"cancel"`},
		{"PUT", "/broker/api/v1/resource/urn:altinn:resource:a/grants/0192:991825827", `"read":["urn:altinn:resource:a","0192:991825827"]`},
		{"DELETE", "/broker/api/v1/resource/a/grants/urn:altinn:organization:identifier-no:991825827", `"name":"delete grant"`},
		{"PUT", "/broker/api/v1/resource/a", `"name":"put resource"`},
		{"POST", "/broker/api/v1/serviceowner", `"name":"create owner"`},
	} {
		w := do(t, r, c.method, c.path)
		require.Equal(t, http.StatusOK, w.Code, c.path)
		require.Contains(t, w.Body.String(), c.want)
	}
	require.Equal(t, "head", do(t, r, "HEAD", apitest.SomeTransfer+"/download").Header().Get("X-Name"))
}

func TestRoutes_ReadHeadersWhole(t *testing.T) {
	t.Parallel()
	w := do(t, echoServer(), "GET", apitest.SomeTransfer+"/download", "Range", "bytes=0-1, 3-4", "If-None-Match", `"a%20b", "c"`)
	var got struct {
		Read []json.RawMessage `json:"read"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.JSONEq(t, `{"Range":"bytes=0-1, 3-4","If-None-Match":"\"a%20b\", \"c\""}`, string(got.Read[1]))
}

func TestRoutes_NameTheParameterThatIsWrong(t *testing.T) {
	t.Parallel()
	r := echoServer()
	for _, c := range []struct{ method, path, field string }{
		{"GET", "/broker/api/v1/filetransfer/not-a-uuid", "fileTransferId"},
		{"GET", "/broker/api/v1/filetransfer/upload", "fileTransferId"},
		{"POST", "/broker/api/v1/filetransfer/1/upload", "fileTransferId"},
		{"GET", "/broker/api/v1/filetransfer", "resourceId"},
		{"GET", "/broker/api/v1/filetransfer?resourceId=a&limit=x", "limit"},
		{"GET", "/broker/api/v1/filetransfer?resourceId=a&orderAscending=x", "orderAscending"},
		{"GET", "/broker/api/v1/filetransfer?resourceId=a&limit=99999999999999999999", "limit"},
	} {
		w := do(t, r, c.method, c.path)
		require.Equal(t, http.StatusBadRequest, w.Code, c.path)
		require.Contains(t, w.Body.String(), `"Field":"`+c.field+`"`, c.path)
	}
	w := do(t, r, "POST", "/broker/api/v1/filetransfer", "Idempotency-Key", "a", "Idempotency-Key", "b")
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), `"Field":"Idempotency-Key"`)
}

func TestDocs_NeedNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	r := echoServer()
	page := do(t, r, "GET", "/docs/")
	require.Equal(t, http.StatusOK, page.Code)
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	require.Len(t, links, 5)
	for _, l := range links {
		require.True(t, strings.HasPrefix(l[1], api.DocsPath), l[1])
		for _, accept := range []string{"gzip", "identity"} {
			w := do(t, r, "GET", l[1], "Accept-Encoding", accept)
			require.Equal(t, http.StatusOK, w.Code, l[1])
			require.NotZero(t, w.Body.Len())
		}
	}
	require.Contains(t, page.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, http.StatusNotFound, do(t, r, "GET", "/docs/nothing.js").Code)
	for _, path := range []string{"/", "/docs"} {
		w := do(t, r, "GET", path)
		require.Equal(t, http.StatusTemporaryRedirect, w.Code)
		require.Equal(t, api.DocsPath, w.Header().Get("Location"))
	}
}

func TestOpenAPI_IsServedOnceAndRevalidated(t *testing.T) {
	t.Parallel()
	h := apitest.Validated(t, echoServer())
	first := do(t, h, "GET", "/openapi.yaml")
	require.Equal(t, http.StatusOK, first.Code)
	require.Equal(t, apitest.SHA256Hex(api.OpenAPI()), apitest.SHA256Hex(first.Body.Bytes()))
	again := do(t, h, "GET", "/openapi.yaml", "If-None-Match", first.Header().Get("ETag"))
	require.Equal(t, http.StatusNotModified, again.Code)
	require.Zero(t, again.Body.Len())
}
