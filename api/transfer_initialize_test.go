package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

func TestInitialize_NamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	long := func(n int) string { return strings.Repeat("æ", n) }
	many := map[string]string{}
	for i := range 11 {
		many[string(rune('a'+i))] = "x"
	}
	for name, tc := range map[string]struct {
		field string
		value any
		named string
	}{
		"no file name":          {"fileName", "", "fileName"},
		"long file name":        {"fileName", long(256), "fileName"},
		"NUL in file name":      {"fileName", "a\x00b", "fileName"},
		"no resource":           {"resourceId", "", "resourceId"},
		"colon in resource":     {"resourceId", "a:b", "resourceId"},
		"long resource":         {"resourceId", long(256), "resourceId"},
		"no reference":          {"sendersFileTransferReference", "", "sendersFileTransferReference"},
		"long reference":        {"sendersFileTransferReference", long(4097), "sendersFileTransferReference"},
		"no sender":             {"sender", "", "sender"},
		"sender without scheme": {"sender", "310000027", "sender"},
		"sender with spaces":    {"sender", "0192:310000027 ", "sender"},
		"no recipients":         {"recipients", []string{}, "recipients"},
		"null recipients":       {"recipients", nil, "recipients"},
		"bad recipient":         {"recipients", []string{string(bob), "0192:1"}, "recipients[1]"},
		"too many properties":   {"propertyList", many, "propertyList"},
		"long property key":     {"propertyList", map[string]string{long(51): "x"}, "propertyList"},
		"long property value":   {"propertyList", map[string]string{"x": long(3001)}, "propertyList"},
		"short checksum":        {"checksum", "abc", "checksum"},
		"upper-case checksum":   {"checksum", strings.Repeat("A", 32), "checksum"},
		"checksum of no hex":    {"checksum", strings.Repeat("g", 32), "checksum"},
		"short sha256":          {"sha256", "abc", "sha256"},
		"number as file name":   {"fileName", 7, "fileName"},
		"text as recipients":    {"recipients", "0192:310000035", "recipients"},
		"text as flag":          {"disableVirusScan", "perhaps", "disableVirusScan"},
	} {
		t.Run(name, func(t *testing.T) {
			d := apitest.Draft()
			d[tc.field] = tc.value
			p := b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, d)).Is(http.StatusBadRequest, "FMD-00001").Problem()
			require.Contains(t, p.Errors, tc.named)
		})
	}
	require.Empty(t, b.Found(alice, ""))
}

func TestInitialize_RefusesWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Call(alice, "POST", "/filetransfer", `{"fileName":`).Is(http.StatusBadRequest, "FMD-00001")
	b.Call(alice, "POST", "/filetransfer", ` `).Is(http.StatusBadRequest, "FMD-00001")
	b.Call(alice, "POST", "/filetransfer", `{} {}`).Is(http.StatusBadRequest, "FMD-00001")
	b.Call(alice, "POST", "/filetransfer", `[]`).Is(http.StatusBadRequest, "FMD-00001")
	b.Call(alice, "POST", "/filetransfer", strings.Replace(apitest.ToJSON(t, apitest.Draft()), "a.zip", "\xff.zip", 1)).Is(http.StatusBadRequest, "FMD-00001")
	b.Call(alice, "POST", "/filetransfer", `{}`, "Content-Type", "text/plain").Is(http.StatusUnsupportedMediaType, "")
	huge := `{"fileName":"` + strings.Repeat("x", web.MaxJSON) + `"}`
	p := b.Call(alice, "POST", "/filetransfer", huge).Is(http.StatusRequestEntityTooLarge, "").Problem()
	require.Equal(t, int64(web.MaxJSON), *p.Limit)
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft()), "Idempotency-Key", "a b").Is(http.StatusBadRequest, "FMD-00001")
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft()), "Accept", "text/html").Is(http.StatusNotAcceptable, "")
}

func TestInitialize_TakesWhatAltinnClientsSend(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	d := apitest.Draft()
	d["FILENAME"], d["unknown"] = "upper.zip", 1
	delete(d, "fileName")
	d["resourceId"] = "urn:altinn:resource:" + svc
	d["sender"] = "urn:altinn:organization:identifier-no:310000027"
	d["propertyList"] = map[string]any{"k": nil}
	var out contract.FileTransferInitialized
	b.Call(alice, "POST", "/filetransfer/", apitest.ToJSON(t, d)).Is(http.StatusOK, "").JSON(&out)
	o := b.Overview(alice, out.FileTransferID.String()+"/")
	require.Equal(t, "upper.zip", o.FileName)
	require.Equal(t, svc, o.ResourceID)
	require.Equal(t, "urn:altinn:organization:identifier-no:310000027", o.Sender, "as it was given")
	require.Equal(t, contract.FileTransferStatusInitialized, o.FileTransferStatus)
	require.Equal(t, "Ready for upload", o.FileTransferStatusText)
	require.Nil(t, o.Published)
}

// Weakness 8 (docs/reference/altinn-broker.md 3): a sender given as URN was not found by the search.
func TestWeakness8_ASenderGivenAsURNIsFound(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize(func(d map[string]any) { d["sender"] = "urn:altinn:organization:identifier-no:310000027" })
	require.Equal(t, []string{id}, b.Found(alice, "&role=Sender"))
	require.Equal(t, []string{id}, b.Found(bob, "&role=Recipient"))
	require.Empty(t, b.Found(bob, "&role=Sender"))
}

// Weakness 12 (docs/reference/altinn-broker.md 3): references over 500 characters failed in the database.
func TestWeakness12_ALongReferenceIsStored(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	reference := strings.Repeat("ø", models.MaxReference)
	id := b.Initialize(func(d map[string]any) {
		d["sendersFileTransferReference"] = reference
		d["fileName"] = strings.Repeat("å", models.MaxFileName)
		d["propertyList"] = map[string]string{strings.Repeat("k", 50): strings.Repeat("v", 3000)}
	})
	require.Equal(t, reference, b.Overview(alice, id).SendersFileTransferReference)
}

func TestInitialize_NamesSomeOfAMillionFaults(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	body := `{"recipients":[` + strings.Repeat(`"",`, 1_000_000) + `""]}`
	a := b.Call(alice, "POST", "/filetransfer", body).Is(http.StatusBadRequest, "FMD-00001")
	require.Contains(t, a.Problem().Errors, "sender")
	require.Less(t, len(a.Raw), 64<<10)
	many := map[string]string{}
	for i := range 50_000 {
		many[fmt.Sprintf("%060d", i)] = ""
	}
	a = b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, map[string]any{"propertyList": many})).Is(http.StatusBadRequest, "FMD-00001")
	require.Less(t, len(a.Raw), 64<<10)
}

// Weakness 7 (docs/reference/altinn-broker.md 3): a recipient named twice became two.
func TestWeakness7_ARecipientNamedTwiceIsOne(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize(func(d map[string]any) {
		d["recipients"] = []any{bob, "urn:altinn:organization:identifier-no:310000035", bob}
	})
	o := b.Overview(alice, id)
	require.Len(t, o.Recipients, 1)
	require.Equal(t, string(bob), o.Recipients[0].Recipient)
}

func TestInitialize_WithOneKeyMakesOneTransfer(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	var first, again contract.FileTransferInitialized
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft()), "Idempotency-Key", "k-1").Is(http.StatusOK, "").JSON(&first)
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft()), "Idempotency-Key", "k-1").Is(http.StatusOK, "").JSON(&again)
	require.Equal(t, first, again)
	other := apitest.Draft()
	other["fileName"] = "b.zip"
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, other), "Idempotency-Key", "k-1").Is(http.StatusUnprocessableEntity, "FMD-00004")
	b.Call(carol, "POST", "/filetransfer", apitest.ToJSON(t, with(apitest.Draft(), "sender", carol)), "Idempotency-Key", "k-1").Is(http.StatusOK, "").JSON(&again)
	require.NotEqual(t, first, again, "another sender's key is another key")
	require.Len(t, b.Found(alice, ""), 1)
}

func TestInitialize_RecognisesARetryOfWhatAnEarlierVersionTook(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	d := models.Draft{
		FileName: "a.zip", ResourceID: svc, SendersReference: "ref-1", Sender: string(alice), Recipients: []string{string(bob), string(carol)},
		PropertyList: map[string]string{"k": "v"},
	}
	before, err := models.NewSubmission(d, 10)
	require.NoError(t, err)
	before.ID, before.IdempotencyKey, before.RequestHash = models.IdempotentID(alice, "k-1"), "k-1", before.EarlierHash
	before.By = models.Caller{Party: alice}
	_, err = b.Store.AcceptTransfer(t.Context(), before, "run", time.Hour)
	require.NoError(t, err)
	var again contract.FileTransferInitialized
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft()), "Idempotency-Key", "k-1").Is(http.StatusOK, "").JSON(&again)
	require.Equal(t, before.ID, again.FileTransferID)
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, with(apitest.Draft(), "fileName", "b.zip")), "Idempotency-Key", "k-1").Is(http.StatusUnprocessableEntity, "FMD-00004")
}

func with(d map[string]any, field string, value any) map[string]any {
	d[field] = value
	return d
}

func TestInitialize_IsRefusedWithoutRights(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Call(bob, "POST", "/filetransfer", apitest.ToJSON(t, with(apitest.Draft(), "sender", bob))).Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(bob, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft())).Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, with(apitest.Draft(), "resourceId", "unknown"))).Is(http.StatusUnauthorized, "BRO-00006")
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, with(apitest.Draft(), "recipients", []any{bob, mallory}))).Is(http.StatusBadRequest, "BRO-00028")
	b.OK(owner, "PUT", "/resource/"+svc, `{"requiredParty":"0192:310000035"}`)
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft())).Is(http.StatusBadRequest, "BRO-00027")
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, with(apitest.Draft(), "recipients", []any{carol}))).Is(http.StatusBadRequest, "BRO-00026")
	b.Call(owner, "DELETE", "/resource/"+svc+"/grants/"+alice.Number(), "", "If-Match", "*").Is(http.StatusNoContent, "")
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, with(apitest.Draft(), "recipients", []any{bob}))).Is(http.StatusUnauthorized, "BRO-00006")
}

func TestInitialize_RefusesTooManyRecipients(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.MaxRecipients = 1 })
	p := b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft())).Is(http.StatusBadRequest, "FMD-00001").Problem()
	require.Contains(t, p.Errors, "recipients")
}

func TestInitialize_AnswersAtOnceWhileTemporalIsDown(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Workflows.SetDown(models.ErrUnavailable)
	a := b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft()), "Idempotency-Key", "k").Is(http.StatusServiceUnavailable, "FMD-00002")
	require.True(t, a.Problem().Retryable)
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	b.Workflows.SetDown(nil)
	b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, apitest.Draft()), "Idempotency-Key", "k").Is(http.StatusOK, "")
	require.Len(t, b.Found(alice, ""), 1)
}
