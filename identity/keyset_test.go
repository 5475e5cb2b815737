package identity

import (
	"context"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

var es256 = []jose.SignatureAlgorithm{jose.ES256}

// keyServer publishes a key set and counts who fetches it.
type keyServer struct {
	*httptest.Server
	fetches atomic.Int64
	answer  atomic.Value // http.HandlerFunc
}

func newKeyServer(t *testing.T, start func(http.Handler) *httptest.Server, set any) *keyServer {
	t.Helper()
	s := &keyServer{}
	s.publish(t, set)
	s.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		s.answer.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// quietTLS serves https and keeps to itself that its certificate was refused.
func quietTLS(h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	return s
}

func (s *keyServer) publish(t *testing.T, set any) {
	t.Helper()
	raw, err := json.Marshal(set)
	require.NoError(t, err)
	s.answer.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(raw) }))
}

func publicSet(t testing.TB, kids ...string) jose.JSONWebKeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, kid := range kids {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: newEC(t, elliptic.P256()).Public(), KeyID: kid, Use: "sig"})
	}
	return set
}

func remote(t *testing.T, url string) (*RemoteKeys, *manualClock) {
	t.Helper()
	clock := &manualClock{}
	r, err := NewRemoteKeys(url, es256, clock.now, nil)
	require.NoError(t, err)
	return r, clock
}

func requireKey(t *testing.T, k Keys, kid string) {
	t.Helper()
	found, err := k.Key(t.Context(), kid)
	require.NoError(t, err)
	require.Len(t, found, 1, kid)
}

func requireNoKey(t *testing.T, k Keys, kid string) {
	t.Helper()
	found, err := k.Key(t.Context(), kid)
	require.NoError(t, err)
	require.Empty(t, found, kid)
}

func TestRemoteKeys_AreFetchedOnceForAFloodOfUnknownKeyIDs(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, httptest.NewServer, publicSet(t, "a"))
	r, clock := remote(t, server.URL)
	flood := func() {
		var all sync.WaitGroup
		for n := range 500 {
			all.Go(func() {
				found, err := r.Key(t.Context(), fmt.Sprintf("stranger-%d", n))
				if err != nil || len(found) > 0 {
					t.Errorf("unknown key: %v %v", found, err)
				}
			})
		}
		all.Wait()
	}
	flood()
	requireKey(t, r, "a")
	require.EqualValues(t, 1, server.fetches.Load())
	clock.advance(keysRetry)
	flood()
	require.EqualValues(t, 2, server.fetches.Load(), "once a minute")
}

func TestRemoteKeys_FollowARotation(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, httptest.NewServer, publicSet(t, "old"))
	r, clock := remote(t, server.URL)
	requireKey(t, r, "old")
	server.publish(t, publicSet(t, "new"))
	requireNoKey(t, r, "new")
	clock.advance(keysRetry)
	requireKey(t, r, "new")
	requireNoKey(t, r, "old")
}

func TestRemoteKeys_AreRefreshedBesideTheRequestAfterAnHour(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, httptest.NewServer, publicSet(t, "a", "b"))
	r, clock := remote(t, server.URL)
	requireKey(t, r, "a")
	clock.advance(keysFresh - time.Second)
	requireKey(t, r, "a")
	require.EqualValues(t, 1, server.fetches.Load())
	release := make(chan struct{})
	raw, err := json.Marshal(publicSet(t, "b"))
	require.NoError(t, err)
	server.answer.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write(raw)
	}))
	clock.advance(time.Second)
	requireKey(t, r, "a") // does not wait for the server, which stands still
	close(release)
	require.Eventually(t, func() bool {
		found, err := r.Key(t.Context(), "a")
		return err == nil && len(found) == 0
	}, 5*time.Second, time.Millisecond, "what the issuer withdrew is gone")
	require.EqualValues(t, 2, server.fetches.Load())
}

func TestRemoteKeys_StayWhenAFetchFails(t *testing.T) {
	t.Parallel()
	elsewhere := newKeyServer(t, httptest.NewServer, publicSet(t, "b"))
	t.Cleanup(func() { require.Zero(t, elsewhere.fetches.Load(), "redirects are not followed") })
	usable, err := json.Marshal(publicSet(t, "b"))
	require.NoError(t, err)
	for name, answer := range map[string]http.HandlerFunc{
		"status":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"text":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"no keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) },
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, string(usable)+strings.Repeat(" ", maxKeySet))
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"keys":[]}`)
		},
		"redirect": func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, elsewhere.URL, http.StatusFound) },
		"secret": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[{"kty":"oct","kid":"b","k":"AAAA"}]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newKeyServer(t, httptest.NewServer, publicSet(t, "a"))
			r, clock := remote(t, server.URL)
			requireKey(t, r, "a")
			server.answer.Store(answer)
			clock.advance(2 * keysFresh)
			requireNoKey(t, r, "b")
			requireKey(t, r, "a")
			require.EqualValues(t, 2, server.fetches.Load())
		})
	}
}

func TestRemoteKeys_AreUnavailableUntilTheyWereThereOnce(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, httptest.NewServer, jose.JSONWebKeySet{})
	r, clock := remote(t, server.URL)
	for range 3 {
		_, err := r.Key(t.Context(), "a")
		require.ErrorIs(t, err, models.ErrUnavailable)
	}
	require.EqualValues(t, 1, server.fetches.Load())
	server.publish(t, publicSet(t, "a"))
	clock.advance(keysRetry)
	requireKey(t, r, "a")
}

func TestRemoteKeys_WaitNoLongerThanTheRequest(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, httptest.NewServer, publicSet(t, "a"))
	release := make(chan struct{})
	raw, err := json.Marshal(publicSet(t, "a"))
	require.NoError(t, err)
	server.answer.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write(raw)
	}))
	r, _ := remote(t, server.URL)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Key(ctx, "a")
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	requireKey(t, r, "a") // the fetch went on for the others
	require.EqualValues(t, 1, server.fetches.Load())
}

func TestRemoteKeys_KeepOnlyPublicSignatureKeysOfTheAlgorithms(t *testing.T) {
	t.Parallel()
	p256, p384 := newEC(t, elliptic.P256()), newEC(t, elliptic.P384())
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: p256.Public(), KeyID: "good"},
		{Key: p256.Public(), KeyID: "named", Algorithm: "ES256", Use: "sig"},
		{Key: p256, KeyID: "private"},
		{Key: p256.Public(), KeyID: "encrypts", Use: "enc"},
		{Key: p256.Public(), KeyID: "other-algorithm", Algorithm: "ES384"},
		{Key: p384.Public(), KeyID: "other-curve"},
		{Key: rsaKey().Public(), KeyID: "other-kind"},
		{Key: []byte("secret"), KeyID: "secret"},
	}}
	raw, err := json.Marshal(set)
	require.NoError(t, err)
	raw = []byte(strings.Replace(string(raw), `"keys":[`, `"keys":[{"kty":"new"},7,{"kty":"EC","kid":"broken","crv":"P-256","x":"AA","y":"AA"},`, 1))
	server := newKeyServer(t, httptest.NewServer, json.RawMessage(raw))
	r, _ := remote(t, server.URL)
	requireKey(t, r, "good")
	requireKey(t, r, "named")
	for _, kid := range []string{"private", "encrypts", "other-algorithm", "other-curve", "other-kind", "secret", "broken", ""} {
		requireNoKey(t, r, kid)
	}
}

func TestNewRemoteKeys_WantsHTTPSExceptOnLoopback(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"https://issuer.example/jwk", "http://localhost:1/jwk", "http://127.0.0.1/jwk", "http://[::1]:1/"} {
		_, err := NewRemoteKeys(good, es256, time.Now, nil)
		require.NoError(t, err, good)
	}
	for _, bad := range []string{"http://issuer.example/jwk", "http://localhost.example/", "ftp://localhost/", "https:///jwk", "jwk", "https://u:p@issuer.example/", "https://issuer.example/#x", "://", "http://10.0.0.1/"} {
		_, err := NewRemoteKeys(bad, es256, time.Now, nil)
		require.Error(t, err, bad)
	}
	server := newKeyServer(t, quietTLS, publicSet(t, "a"))
	r, clock := remote(t, server.URL)
	_, err := r.Key(t.Context(), "a")
	require.ErrorIs(t, err, models.ErrUnavailable, "nobody vouches for the server's certificate")
	r.client.Transport = server.Client().Transport
	clock.advance(keysRetry)
	requireKey(t, r, "a")
}

func TestReadKeys_RefusesFilesThatAreNotPublicKeys(t *testing.T) {
	t.Parallel()
	write := func(content any) string {
		raw, err := json.Marshal(content)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "keys.json")
		require.NoError(t, os.WriteFile(file, raw, 0o600))
		return file
	}
	keys, err := ReadKeys(write(publicSet(t, "a", "b")), es256)
	require.NoError(t, err)
	requireKey(t, keys, "a")
	requireNoKey(t, keys, "c")
	private := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: newEC(t, elliptic.P256()), KeyID: "a"}}}
	for name, file := range map[string]string{
		"absent": filepath.Join(t.TempDir(), "none"), "private": write(private), "empty": write(map[string]any{}),
		"not a set": write("x"), "nothing fits": write(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: rsaKey().Public(), KeyID: "a"}}}),
	} {
		_, err := ReadKeys(file, es256)
		require.Error(t, err, name)
	}
}

func TestFits_KnowsKindsAndSizes(t *testing.T) {
	t.Parallel()
	small := newRSA(1024)
	p521 := newEC(t, elliptic.P521())
	for _, a := range Algorithms() {
		require.False(t, fits(a, small.Public()), a)
		require.False(t, fits(a, p521.Public()), a)
		require.False(t, fits(a, []byte("secret")), a)
		require.False(t, fits(a, nil), a)
		require.Equal(t, a != jose.ES256 && a != jose.ES384, fits(a, rsaKey().Public()), a)
		require.Equal(t, a == jose.ES256, fits(a, newEC(t, elliptic.P256()).Public()), a)
		require.Equal(t, a == jose.ES384, fits(a, newEC(t, elliptic.P384()).Public()), a)
	}
	for _, a := range []jose.SignatureAlgorithm{jose.HS256, "none", "", jose.PS384, jose.EdDSA} {
		require.False(t, fits(a, rsaKey().Public()), a)
	}
}
