package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func TestInitialize_NamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
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
			d := draft()
			d[tc.field] = tc.value
			p := b.call(alice, "POST", "/filetransfer", toJSON(t, d)).is(http.StatusBadRequest, "FMD-00001").problem()
			require.Contains(t, p.Errors, tc.named)
		})
	}
	require.Empty(t, b.found(alice, ""))
}

// found searches with a query and returns the ids.
func (b *bundle) found(by models.Party, query string) []string {
	b.t.Helper()
	var ids []string
	b.call(by, "GET", "/filetransfer?resourceId="+svc+query, "").is(http.StatusOK, "").json(&ids)
	return ids
}

func TestInitialize_RefusesWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call(alice, "POST", "/filetransfer", `{"fileName":`).is(http.StatusBadRequest, "FMD-00001")
	b.call(alice, "POST", "/filetransfer", ` `).is(http.StatusBadRequest, "FMD-00001")
	b.call(alice, "POST", "/filetransfer", `{} {}`).is(http.StatusBadRequest, "FMD-00001")
	b.call(alice, "POST", "/filetransfer", `[]`).is(http.StatusBadRequest, "FMD-00001")
	b.call(alice, "POST", "/filetransfer", strings.Replace(toJSON(t, draft()), "a.zip", "\xff.zip", 1)).is(http.StatusBadRequest, "FMD-00001")
	b.call(alice, "POST", "/filetransfer", `{}`, "Content-Type", "text/plain").is(http.StatusUnsupportedMediaType, "")
	huge := `{"fileName":"` + strings.Repeat("x", maxJSON) + `"}`
	p := b.call(alice, "POST", "/filetransfer", huge).is(http.StatusRequestEntityTooLarge, "").problem()
	require.Equal(t, int64(maxJSON), *p.Limit)
	b.call(alice, "POST", "/filetransfer", toJSON(t, draft()), "Idempotency-Key", "a b").is(http.StatusBadRequest, "FMD-00001")
	b.call(alice, "POST", "/filetransfer", toJSON(t, draft()), "Accept", "text/html").is(http.StatusNotAcceptable, "")
}

func TestInitialize_TakesWhatAltinnClientsSend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := draft()
	d["FILENAME"], d["unknown"] = "upper.zip", 1
	delete(d, "fileName")
	d["resourceId"] = "urn:altinn:resource:" + svc
	d["sender"] = "urn:altinn:organization:identifier-no:310000027"
	d["propertyList"] = map[string]any{"k": nil}
	var out contract.FileTransferInitialized
	b.call(alice, "POST", "/filetransfer/", toJSON(t, d)).is(http.StatusOK, "").json(&out)
	o := b.overview(alice, out.FileTransferID.String()+"/")
	require.Equal(t, "upper.zip", o.FileName)
	require.Equal(t, svc, o.ResourceID)
	require.Equal(t, "urn:altinn:organization:identifier-no:310000027", o.Sender, "as it was given")
	require.Equal(t, contract.FileTransferStatusInitialized, o.FileTransferStatus)
	require.Equal(t, "Ready for upload", o.FileTransferStatusText)
	require.Nil(t, o.Published)
}

// Reference weakness 8: a sender given as URN was not found by the search.
func TestWeakness8_ASenderGivenAsURNIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize(func(d map[string]any) { d["sender"] = "urn:altinn:organization:identifier-no:310000027" })
	require.Equal(t, []string{id}, b.found(alice, "&role=Sender"))
	require.Equal(t, []string{id}, b.found(bob, "&role=Recipient"))
	require.Empty(t, b.found(bob, "&role=Sender"))
}

// Reference weakness 12: references over 500 characters failed in the database.
func TestWeakness12_ALongReferenceIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reference := strings.Repeat("ø", models.MaxReference)
	id := b.initialize(func(d map[string]any) {
		d["sendersFileTransferReference"] = reference
		d["fileName"] = strings.Repeat("å", models.MaxFileName)
		d["propertyList"] = map[string]string{strings.Repeat("k", 50): strings.Repeat("v", 3000)}
	})
	require.Equal(t, reference, b.overview(alice, id).SendersFileTransferReference)
}

func TestInitialize_NamesSomeOfAMillionFaults(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := `{"recipients":[` + strings.Repeat(`"",`, 1_000_000) + `""]}`
	a := b.call(alice, "POST", "/filetransfer", body).is(http.StatusBadRequest, "FMD-00001")
	require.Contains(t, a.problem().Errors, "sender")
	require.Less(t, len(a.body), 64<<10)
	many := map[string]string{}
	for i := range 50_000 {
		many[fmt.Sprintf("%060d", i)] = ""
	}
	a = b.call(alice, "POST", "/filetransfer", toJSON(t, map[string]any{"propertyList": many})).is(http.StatusBadRequest, "FMD-00001")
	require.Less(t, len(a.body), 64<<10)
}

// Reference weakness 7: a recipient named twice became two.
func TestWeakness7_ARecipientNamedTwiceIsOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize(func(d map[string]any) {
		d["recipients"] = []any{bob, "urn:altinn:organization:identifier-no:310000035", bob}
	})
	o := b.overview(alice, id)
	require.Len(t, o.Recipients, 1)
	require.Equal(t, string(bob), o.Recipients[0].Recipient)
}

func TestInitialize_WithOneKeyMakesOneTransfer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var first, again contract.FileTransferInitialized
	b.call(alice, "POST", "/filetransfer", toJSON(t, draft()), "Idempotency-Key", "k-1").is(http.StatusOK, "").json(&first)
	b.call(alice, "POST", "/filetransfer", toJSON(t, draft()), "Idempotency-Key", "k-1").is(http.StatusOK, "").json(&again)
	require.Equal(t, first, again)
	other := draft()
	other["fileName"] = "b.zip"
	b.call(alice, "POST", "/filetransfer", toJSON(t, other), "Idempotency-Key", "k-1").is(http.StatusUnprocessableEntity, "FMD-00004")
	b.call(carol, "POST", "/filetransfer", toJSON(t, with(draft(), "sender", carol)), "Idempotency-Key", "k-1").is(http.StatusOK, "").json(&again)
	require.NotEqual(t, first, again, "another sender's key is another key")
	require.Len(t, b.found(alice, ""), 1)
}

func with(d map[string]any, field string, value any) map[string]any {
	d[field] = value
	return d
}

func TestInitialize_IsRefusedWithoutRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call(bob, "POST", "/filetransfer", toJSON(t, with(draft(), "sender", bob))).is(http.StatusUnauthorized, "BRO-00006")
	b.call(bob, "POST", "/filetransfer", toJSON(t, draft())).is(http.StatusUnauthorized, "BRO-00006")
	b.call(alice, "POST", "/filetransfer", toJSON(t, with(draft(), "resourceId", "unknown"))).is(http.StatusUnauthorized, "BRO-00006")
	b.call(alice, "POST", "/filetransfer", toJSON(t, with(draft(), "recipients", []any{bob, mallory}))).is(http.StatusBadRequest, "BRO-00028")
	b.ok(owner, "PUT", "/resource/"+svc, `{"requiredParty":"0192:310000035"}`)
	b.call(alice, "POST", "/filetransfer", toJSON(t, draft())).is(http.StatusBadRequest, "BRO-00027")
	b.call(alice, "POST", "/filetransfer", toJSON(t, with(draft(), "recipients", []any{carol}))).is(http.StatusBadRequest, "BRO-00026")
	b.call(owner, "DELETE", "/resource/"+svc+"/grants/"+alice.Number(), "", "If-Match", "*").is(http.StatusNoContent, "")
	b.call(alice, "POST", "/filetransfer", toJSON(t, with(draft(), "recipients", []any{bob}))).is(http.StatusUnauthorized, "BRO-00006")
}

func TestInitialize_RefusesTooManyRecipients(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.MaxRecipients = 1 })
	p := b.call(alice, "POST", "/filetransfer", toJSON(t, draft())).is(http.StatusBadRequest, "FMD-00001").problem()
	require.Contains(t, p.Errors, "recipients")
}

func TestInitialize_AnswersAtOnceWhileTemporalIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.door.set(models.ErrUnavailable)
	a := b.call(alice, "POST", "/filetransfer", toJSON(t, draft()), "Idempotency-Key", "k").is(http.StatusServiceUnavailable, "FMD-00002")
	require.True(t, a.problem().Retryable)
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	b.door.set(nil)
	b.call(alice, "POST", "/filetransfer", toJSON(t, draft()), "Idempotency-Key", "k").is(http.StatusOK, "")
	require.Len(t, b.found(alice, ""), 1)
}
