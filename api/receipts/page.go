package receipts

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

const pageStyle = `body{font:1rem/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}table{border-collapse:collapse;width:100%}` +
	`td,th{border-bottom:1px solid #999;padding:.4rem;text-align:left;vertical-align:top}code{overflow-wrap:anywhere;font-size:.8rem}`

// receiptTemplate is one plain page without scripts, to read and to print.
var receiptTemplate = template.Must(template.New("receipts").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Receipts of transfer {{.ID}}</title><style>` + pageStyle + `</style></head>
<body><h1>Receipts</h1>
<p>Transfer <code>{{.ID}}</code>{{with .First}}, service {{.Service}}, reference “{{.Reference}}”, sent by {{.Sender}}{{end}}. As seen by {{.Viewer}}.</p>
<table><thead><tr><th>No.</th><th>Event</th><th>What happened</th><th>SHA-256 of the receipt</th></tr></thead><tbody>
{{range .Rows}}<tr><td>{{.Seq}}</td><td>{{.Event}}</td><td>{{.Words}}</td><td><code>{{.Hash}}</code></td></tr>
{{else}}<tr><td colspan="4">There are no receipts yet.</td></tr>
{{end}}</tbody></table>
{{with .Next}}<p><a href="{{.}}">More receipts</a></p>{{end}}
<p>This page is for reading. The proof is the bundle, <code>GET …/receipts/bundle</code>, which <code>formidling receipt verify</code> checks.</p>
</body></html>
`))

// pageCSP allows this page's own style and nothing else.
var pageCSP = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

type receiptPageRow struct {
	Seq                int
	Event, Words, Hash string
}

type receiptPageData struct {
	ID, Viewer, Next string
	First            *models.Receipt
	Rows             []receiptPageRow
}

func (h *Handler) receiptPage(c *gin.Context, id contract.FileTransferID, rows []models.IssuedReceipt, p web.Page) {
	data := receiptPageData{ID: id.String(), Viewer: string(web.Caller(c))}
	if len(rows) > p.Limit {
		rows = rows[:p.Limit]
		data.Next = "?after=" + strconv.Itoa(rows[p.Limit-1].Seq) + "&limit=" + strconv.Itoa(p.Limit)
	}
	for _, r := range rows {
		said, err := models.ReadReceipt(r.JWS)
		if err != nil {
			web.Problem(c, err)
			return
		}
		if data.First == nil {
			data.First = &said
		}
		data.Rows = append(data.Rows, receiptPageRow{r.Seq, said.Event.Name(), models.Describe(said), r.Hash})
	}
	var out bytes.Buffer
	if err := receiptTemplate.Execute(&out, data); err != nil {
		web.Problem(c, err)
		return
	}
	c.Header("Content-Security-Policy", pageCSP)
	c.Data(http.StatusOK, "text/html; charset=utf-8", out.Bytes())
}
