package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/client"
)

// between is a proxy to the broker that answers itself what a test wants.
type between struct {
	url     string
	answer  atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool] // whether it did
	uploads atomic.Int64
}

func (d *desk) between() *between {
	d.t.Helper()
	target, err := url.Parse(d.broker.URL)
	require.NoError(d.t, err)
	p := &between{}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer := p.answer.Load(); answer != nil && (*answer)(w, r) {
			return
		}
		if strings.HasSuffix(r.URL.Path, "/upload") {
			p.uploads.Add(1)
		}
		forward.ServeHTTP(w, r)
	}))
	d.t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *between) answers(f func(w http.ResponseWriter, r *http.Request) bool) { p.answer.Store(&f) }

// saved is the only unfinished send.
func (d *desk) saved() client.Checkpoint {
	d.t.Helper()
	found, err := filepath.Glob(filepath.Join(d.dir, ".local/state/formidling/sends/*.json"))
	require.NoError(d.t, err)
	require.Len(d.t, found, 1)
	var c client.Checkpoint
	require.NoError(d.t, json.Unmarshal(d.read(found[0]), &c))
	require.NotNil(d.t, c.ID)
	return c
}

// bearer is the sender with a token of its own making, at an address.
func (d *desk) bearer(at string) []string {
	d.t.Helper()
	token := d.ok(d.env, "token", "--cert", d.broker.Certificate(deskSender), "--url", d.broker.URL)
	return append(append([]string{}, d.env...), "FORMIDLING_URL="+at, "FORMIDLING_TOKEN="+token)
}

func TestSend_ForgetsNoTransferForARefusalOnTheWay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ status, code int }{
		"not found": {http.StatusNotFound, exitNotFound}, "gone": {http.StatusGone, exitNotFound},
		"a token that ended": {http.StatusUnauthorized, exitUnauthorized}, "the rule of a gateway": {http.StatusForbidden, exitUnauthorized},
		"too large for a gateway": {http.StatusRequestEntityTooLarge, exitRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			p := d.between()
			file := d.file("f", []byte("content"))
			refuse := func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/upload") {
					http.Error(w, "<html>", tc.status)
					return true
				}
				return false
			}
			p.answers(refuse)
			var first client.Checkpoint
			for range 2 { // going on with it neither forgets it nor begins another one
				_, complaint, code := d.run(d.bearer(p.url), nil, "send", file, "--to", deskRecipient)
				require.Equal(t, tc.code, code, complaint)
				require.Contains(t, complaint, "the same command goes on with this transfer")
				require.NotContains(t, complaint, "beginning a new transfer")
				if first.ID == nil {
					first = d.saved()
				}
				require.Equal(t, first, d.saved())
			}
			p.answers(func(http.ResponseWriter, *http.Request) bool { return false })
			require.Equal(t, first.ID.String(), d.ok(d.bearer(p.url), "send", file, "--to", deskRecipient))
			require.Empty(t, d.unfinished())
		})
	}
}

func TestSend_SendsNothingTwiceWhenItsTokenEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.between()
	file := d.file("f", []byte("content"))
	p.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if p.uploads.Load() == 0 || strings.HasSuffix(r.URL.Path, "/upload") {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized) // the bytes have arrived; the token has ended meanwhile
		return true
	})
	_, complaint, code := d.run(d.bearer(p.url), nil, "send", file, "--to", deskRecipient)
	require.Equal(t, exitUnauthorized, code, complaint)
	require.Contains(t, complaint, "may have all of the file already")
	first := d.saved()

	p.answers(func(http.ResponseWriter, *http.Request) bool { return false })
	require.Equal(t, first.ID.String(), d.ok(d.bearer(p.url), "send", file, "--to", deskRecipient))
	require.EqualValues(t, 1, p.uploads.Load(), "it was found published")
	require.Equal(t, 1, strings.Count(d.ok(d.as(deskRecipient), "inbox"), "\n")+1, "and is there once")
}

func TestSend_KeepsItsTransferWhenTheBrokerIsNotTrusted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := d.file("f", make([]byte, 1<<20))
	g := d.gate(500 << 10)
	c := d.command(d.as(deskSender), nil, "send", file, "--to", deskRecipient, "--url", g.url)
	require.NoError(t, c.Start())
	g.full(t)
	require.NoError(t, c.Process.Kill())
	_ = c.Wait() // it was killed
	g.let()
	first := d.saved()
	_, complaint, code := d.run(d.as(deskSender, "FORMIDLING_CA="), nil, "send", file, "--to", deskRecipient, "--url", g.url)
	require.Equal(t, exitUnauthorized, code, complaint)
	require.Equal(t, first, d.saved())
	require.Equal(t, first.ID.String(), d.ok(d.as(deskSender), "send", file, "--to", deskRecipient, "--url", g.url))
}

func TestSend_GoesOnWhenItWasGivenTheRight(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := d.file("f", []byte("content"))
	const other = "310000051"
	_, complaint, code := d.run(d.as(other), nil, "send", file, "--to", deskRecipient)
	require.Equal(t, exitUnauthorized, code, complaint)
	require.NotContains(t, complaint, "goes on", "there is no transfer yet")
	yes := true
	d.grant(other, client.GrantUpdate{Send: &yes})
	d.ok(d.as(other), "send", file, "--to", deskRecipient)
	require.Empty(t, d.unfinished())
}

func TestToken_GoesNowhereElse(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	redirecting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(redirecting.Close)
	_, complaint, code := d.run(d.env, nil, "token", "--cert", d.broker.Certificate(deskSender), "--url", redirecting.URL)
	require.Equal(t, exitOther, code)
	require.Contains(t, complaint, "307")
	require.Zero(t, elsewhere.Load(), "nobody else got the assertion")
}
