package api

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// A supplier that may receive only, for an organisation that is sender and recipient of one transfer, is its recipient.
func TestSupplier_OfWhoIsSenderAndRecipientSeesAndSaysWhatWasDelegated(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	r.call(owner, "PUT", "/resource/"+svc+"/grants/"+alice.Number(), `{"send":true,"receive":true}`, "If-Match", "*").is(http.StatusOK, "")
	id := r.initialize(func(m map[string]any) { m["recipients"] = []any{alice, bob} })
	r.upload(id, []byte("hello")).is(http.StatusOK, "")
	at := "/filetransfer/" + id
	delegation := "/identity/api/v1/delegations/" + mallory.Number()
	r.call(alice, "PUT", delegation, `{"receive":true}`, impersonate, certified(alice)).is(http.StatusCreated, "")
	acting := []string{impersonate, certified(alice, through(mallory))}
	r.call(alice, "GET", at+"/download", "").is(http.StatusOK, "")
	r.call(bob, "GET", at+"/download", "").is(http.StatusOK, "")
	r.call(alice, "POST", at+"/acknowledgements", `{"text":"of the sender"}`).is(http.StatusNoContent, "")
	r.call("", "POST", at+"/acknowledgements", `{"text":"of the recipient"}`, acting...).is(http.StatusNoContent, "")
	r.settle()
	for _, path := range []string{"", "/details", "/receipts", "/timeline"} {
		whole := string(r.call(alice, "GET", at+path, "").is(http.StatusOK, "").body)
		require.Contains(t, whole, bob.Number(), path)
		seen := string(r.call("", "GET", at+path, "", acting...).is(http.StatusOK, "").body)
		require.NotContains(t, seen, bob.Number(), path)
		require.NotContains(t, seen, "of the sender", path)
		if path == "/receipts" || path == "/timeline" {
			require.Contains(t, seen, "of the recipient", path)
			require.Contains(t, whole, "of the sender", path)
		}
	}
	r.call("", "GET", at+"/receipts/bundle", "", acting...).is(http.StatusUnauthorized, "BRO-00006")
	r.call("", "POST", at+"/cancel", "", acting...).is(http.StatusUnauthorized, "BRO-00006")
	early := r.initialize(func(m map[string]any) { m["recipients"] = []any{alice, bob} })
	r.call("", "POST", "/filetransfer/"+early+"/acknowledgements", `{"text":"too early"}`, acting...).is(http.StatusBadRequest, "BRO-00010")
	r.call("", "GET", at+"/download", "", acting...).is(http.StatusOK, "")
	r.call("", "POST", at+"/confirmdownload", "", acting...).is(http.StatusNoContent, "")

	r.call(alice, "PUT", delegation, `{"send":true}`, impersonate, certified(alice), "If-Match", "*").is(http.StatusOK, "")
	require.Contains(t, string(r.call("", "GET", at+"/details", "", acting...).is(http.StatusOK, "").body), bob.Number())
	r.call("", "GET", at+"/receipts/bundle", "", acting...).is(http.StatusOK, "")
	r.call("", "POST", at+"/confirmdownload", `{"text":"again"}`, acting...).is(http.StatusUnauthorized, "BRO-00006")
}

func TestTimeline_IsReadPageByPage(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.publish("hello")
	r.settle()
	var all contract.Timeline
	a := r.call(alice, "GET", "/filetransfer/"+id+"/timeline", "").is(http.StatusOK, "")
	a.json(&all)
	require.Empty(t, a.Header.Get("Link"))
	var got []contract.TimelineEntry
	next := base + "/filetransfer/" + id + "/timeline?limit=2"
	for next != "" {
		a := r.call(alice, "GET", strings.TrimPrefix(next, base), "").is(http.StatusOK, "")
		var page contract.Timeline
		a.json(&page)
		require.LessOrEqual(t, len(page.Entries), 2)
		got = append(got, page.Entries...)
		m := regexp.MustCompile(`<(.*)>; rel="next"`).FindStringSubmatch(a.Header.Get("Link"))
		if next = ""; m != nil {
			next = m[1]
		}
	}
	require.Greater(t, len(got), 4)
	require.Equal(t, all.Entries, got)
	for _, bad := range []string{"limit=0", "limit=10001", "cursor=x", "cursor=!", "cursor=" + timelineCursor(models.TimelinePlace{Passed: models.MaxTimelinePassed + 1})} {
		r.call(alice, "GET", "/filetransfer/"+id+"/timeline?"+bad, "").is(http.StatusBadRequest, "FMD-00001")
	}
}
