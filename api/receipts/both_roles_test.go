package receipts_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/receipts"
	"github.com/formidling/formidling/models"
)

// A supplier that may receive only, for an organisation that is sender and recipient of one transfer, is its recipient.
func TestSupplier_OfWhoIsSenderAndRecipientSeesAndSaysWhatWasDelegated(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	r.Call(owner, "PUT", "/resource/"+svc+"/grants/"+alice.Number(), `{"send":true,"receive":true}`, "If-Match", "*").Is(http.StatusOK, "")
	id := r.Initialize(func(m map[string]any) { m["recipients"] = []any{alice, bob} })
	r.Upload(id, []byte("hello")).Is(http.StatusOK, "")
	at := "/filetransfer/" + id
	delegation := "/identity/api/v1/delegations/" + mallory.Number()
	r.Call(alice, "PUT", delegation, `{"receive":true}`, apitest.Impersonate, apitest.Certified(alice)).Is(http.StatusCreated, "")
	acting := []string{apitest.Impersonate, apitest.Certified(alice, apitest.Through(mallory))}
	r.Call(alice, "GET", at+"/download", "").Is(http.StatusOK, "")
	r.Call(bob, "GET", at+"/download", "").Is(http.StatusOK, "")
	r.Call(alice, "POST", at+"/acknowledgements", `{"text":"of the sender"}`).Is(http.StatusNoContent, "")
	r.Call("", "POST", at+"/acknowledgements", `{"text":"of the recipient"}`, acting...).Is(http.StatusNoContent, "")
	r.settle()
	for _, path := range []string{"", "/details", "/receipts", "/timeline"} {
		whole := string(r.Call(alice, "GET", at+path, "").Is(http.StatusOK, "").Raw)
		require.Contains(t, whole, bob.Number(), path)
		seen := string(r.Call("", "GET", at+path, "", acting...).Is(http.StatusOK, "").Raw)
		require.NotContains(t, seen, bob.Number(), path)
		require.NotContains(t, seen, "of the sender", path)
		if path == "/receipts" || path == "/timeline" {
			require.Contains(t, seen, "of the recipient", path)
			require.Contains(t, whole, "of the sender", path)
		}
	}
	r.Call("", "GET", at+"/receipts/bundle", "", acting...).Is(http.StatusUnauthorized, "BRO-00006")
	r.Call("", "POST", at+"/cancel", "", acting...).Is(http.StatusUnauthorized, "BRO-00006")
	early := r.Initialize(func(m map[string]any) { m["recipients"] = []any{alice, bob} })
	r.Call("", "POST", "/filetransfer/"+early+"/acknowledgements", `{"text":"too early"}`, acting...).Is(http.StatusBadRequest, "BRO-00010")
	r.Call("", "GET", at+"/download", "", acting...).Is(http.StatusOK, "")
	r.Call("", "POST", at+"/confirmdownload", "", acting...).Is(http.StatusNoContent, "")

	r.Call(alice, "PUT", delegation, `{"send":true}`, apitest.Impersonate, apitest.Certified(alice), "If-Match", "*").Is(http.StatusOK, "")
	require.Contains(t, string(r.Call("", "GET", at+"/details", "", acting...).Is(http.StatusOK, "").Raw), bob.Number())
	r.Call("", "GET", at+"/receipts/bundle", "", acting...).Is(http.StatusOK, "")
	r.Call("", "POST", at+"/confirmdownload", `{"text":"again"}`, acting...).Is(http.StatusUnauthorized, "BRO-00006")
}

func TestTimeline_IsReadPageByPage(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.Publish("hello")
	r.settle()
	var all contract.Timeline
	a := r.Call(alice, "GET", "/filetransfer/"+id+"/timeline", "").Is(http.StatusOK, "")
	a.JSON(&all)
	require.Empty(t, a.Header.Get("Link"))
	var got []contract.TimelineEntry
	next := base + "/filetransfer/" + id + "/timeline?limit=2"
	for next != "" {
		a := r.Call(alice, "GET", strings.TrimPrefix(next, base), "").Is(http.StatusOK, "")
		var page contract.Timeline
		a.JSON(&page)
		require.LessOrEqual(t, len(page.Entries), 2)
		got = append(got, page.Entries...)
		m := regexp.MustCompile(`<(.*)>; rel="next"`).FindStringSubmatch(a.Header.Get("Link"))
		if next = ""; m != nil {
			next = m[1]
		}
	}
	require.Greater(t, len(got), 4)
	require.Equal(t, all.Entries, got)
	for _, bad := range []string{"limit=0", "limit=10001", "cursor=x", "cursor=!", "cursor=" + receipts.TimelineCursor(models.TimelinePlace{Passed: models.MaxTimelinePassed + 1})} {
		r.Call(alice, "GET", "/filetransfer/"+id+"/timeline?"+bad, "").Is(http.StatusBadRequest, "FMD-00001")
	}
}
