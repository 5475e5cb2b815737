package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestSafeName_IsFitForADirectory(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"a.zip": "a.zip", "/etc/passwd": "passwd", `C:\x\y.txt`: "y.txt", "..": "file", ".": "file", "": "file", "a/": "file", "...": "file",
		".profile": "_profile", "a\x00b\n.txt": "ab.txt", "a\u202eb": "ab", "a:b?": "a_b_", " a . ": "a", "CON": "_CON", "nul.tar.gz": "_nul.tar.gz",
		"æøå.pdf": "æøå.pdf", "\xff\xfe": "file",
	} {
		require.Equal(t, want, SafeName(given), given)
	}
	long := SafeName(strings.Repeat("å", 300) + ".zip")
	require.LessOrEqual(t, len(long), maxName)
	require.True(t, strings.HasSuffix(long, "å.zip"))
}

func FuzzSafeName(f *testing.F) {
	for _, seed := range []string{"a.zip", "../x", "\x00", ".a", strings.Repeat("å", 200), "a\u202eb", "COM1.x", "a." + strings.Repeat("x", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := SafeName(name)
		switch {
		case got == "" || got == "." || got == ".." || got[0] == '.' || len(got) > maxName+1 || !utf8.ValidString(got):
			t.Errorf("%q became %q", name, got)
		case strings.ContainsAny(got, `/\<>:"|?*`) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }):
			t.Errorf("%q became %q", name, got)
		}
	})
}

func TestRetry_WaitsLongerEachTimeAndGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := &NetworkError{Op: "GET x", Err: io.ErrUnexpectedEOF}
		var pauses []time.Duration
		p := Retry{First: time.Second, Longest: 4 * time.Second, Patience: 20 * time.Second, Notify: func(_ error, d time.Duration) { pauses = append(pauses, d) }}.begin()
		began := time.Now()
		for p.pause(t.Context(), broken) == nil {
		}
		require.LessOrEqual(t, time.Since(began), 20*time.Second)
		require.GreaterOrEqual(t, len(pauses), 5)
		for n, longest := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			require.LessOrEqual(t, pauses[n], longest)
			require.GreaterOrEqual(t, pauses[n], longest/2)
		}
		p.progressed()
		require.NoError(t, p.pause(t.Context(), broken), "after progress it begins anew")

		asked := &Error{Status: http.StatusServiceUnavailable, RetryAfter: 7 * time.Second}
		began = time.Now()
		p.progressed()
		require.NoError(t, p.pause(t.Context(), asked))
		require.Equal(t, 7*time.Second, time.Since(began))
		asked.RetryAfter = time.Hour
		require.ErrorIs(t, p.pause(t.Context(), asked), ErrUnavailable, "that is too long")
		require.Equal(t, broken, Retry{Patience: -1}.begin().pause(t.Context(), broken))
	})
}

func TestRetry_IsForWhatMayPassOnly(t *testing.T) {
	t.Parallel()
	for _, status := range []int{408, 423, 425, 429, 502, 503, 504} {
		again, _ := transient(&Error{Status: status})
		require.True(t, again, status)
	}
	for _, status := range []int{400, 401, 403, 404, 409, 412, 413, 416, 422, 500, 501} {
		again, _ := transient(&Error{Status: status})
		require.False(t, again, status)
	}
	again, _ := transient(&Error{Status: 507, Retryable: true})
	require.True(t, again)
	again, _ = transient(&NetworkError{Err: &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}})
	require.False(t, again)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOurs)
	require.Equal(t, errOurs, Retry{}.begin().pause(ctx, &NetworkError{}))
}

func TestError_TellsItsKindAndWhatIsWrong(t *testing.T) {
	t.Parallel()
	limit, actual := int64(5), int64(10)
	for _, tc := range []struct {
		err  *Error
		kind error
	}{
		{&Error{Status: 400, Code: "BRO-00009"}, ErrChecksum}, {&Error{Status: 460}, ErrChecksum},
		{&Error{Status: 401}, ErrUnauthorized}, {&Error{Status: 403}, ErrUnauthorized}, {&Error{Status: 403, Code: "BRO-00007"}, ErrRefused},
		{&Error{Status: 404}, ErrNotFound}, {&Error{Status: 410}, ErrNotFound}, {&Error{Status: 409}, ErrRefused}, {&Error{Status: 302}, ErrRefused},
		{&Error{Status: 429}, ErrUnavailable}, {&Error{Status: 500}, ErrUnavailable}, {&Error{Status: 507}, ErrUnavailable},
	} {
		for _, kind := range []error{ErrChecksum, ErrUnauthorized, ErrNotFound, ErrRefused, ErrUnavailable, ErrEnded} {
			require.Equal(t, kind == tc.kind, errors.Is(tc.err, kind), "%v is %v", tc.err, kind)
		}
	}
	e := &Error{Op: "POST /x", Status: 400, Code: "FMD-00001", Detail: "Wrong.", Fields: map[string][]string{"b": {"2"}, "a": {"1"}}, TraceID: "t", Limit: &limit, Actual: &actual}
	require.Equal(t, "POST /x: 400 FMD-00001 Wrong.; a: 1; b: 2 (limit 5, actual 10) [trace t]", e.Error())
	require.Contains(t, (&ChecksumError{Declared: "a", Actual: "b"}).Error(), "SHA-256 is b")
	require.Contains(t, (&ChecksumError{DeclaredSize: 2, ActualSize: 1}).Error(), "1 bytes")
}

func TestHeaders_AreReadWithCare(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for given, want := range map[string]time.Duration{
		"5": 5 * time.Second, "": 0, "-1": 0, "x": 0, "99999999999999": 0, "Wed, 25 Nov 2026 12:00:30 GMT": 30 * time.Second, "Wed, 25 Nov 2026 11:00:00 GMT": 0,
	} {
		require.Equal(t, want, retryAfter(given, now), given)
	}
	for given, want := range map[string]string{
		"": "", `</x?cursor=abc>; rel="next"`: "abc", `</x?cursor=abc>; rel="prev"`: "", `</a>; rel="prev", </x?a=1&cursor=b%3D>; rel="next"`: "b=", "garbage": "",
	} {
		require.Equal(t, want, nextCursor(http.Header{"Link": {given}}), given)
	}
	digest, err := readDigest("md5=:AAAA:, sha-256=:" + "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")
	require.NoError(t, err)
	require.Equal(t, sum(nil), digest)
	for _, given := range []string{"", "sha-256=:AAAA:", "sha-256=AAAA", "sha-512=:AAAA:"} {
		_, err := readDigest(given)
		require.Error(t, err, given)
	}
	base, err := url.Parse("https://broker.example/a/b")
	require.NoError(t, err)
	place, err := sameHost(base, "/c/d")
	require.NoError(t, err)
	require.Equal(t, "https://broker.example/c/d", place)
	for _, given := range []string{"", "https://other.example/c", "//other.example/c", "http://broker.example/c", "https://broker.example:444/c", ":"} {
		_, err := sameHost(base, given)
		require.Error(t, err, "no credential goes to %q", given)
	}
}

// hostile is a broker that answers what it likes.
func hostile(t *testing.T, answer http.HandlerFunc) *Broker {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	b, err := New(Options{URL: server.URL, Tokens: StaticToken("secret"), Retry: Retry{Patience: -1}, Stall: 200 * time.Millisecond})
	require.NoError(t, err)
	return b
}

func TestBroker_BelievesNothingThatIsNotTheAPI(t *testing.T) {
	t.Parallel()
	var elsewhere []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close)
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) },
		"no JSON":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"a text":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no \x1b[2J", http.StatusTeapot) },
		"half a document": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
		},
		"a hang-up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		b := hostile(t, answer)
		_, err := b.Me(t.Context())
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "\x1b", name)
		require.NotContains(t, err.Error(), "secret", name)
		_, err = b.Receive(t.Context(), FileTransferID{}, ReceiveOptions{})
		require.Error(t, err, name)
	}
	require.Empty(t, elsewhere, "nobody else got a credential")
}

func TestReceive_GivesUpAConnectionThatStandsStill(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Repr-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			<-release
		}
	})
	defer close(release)
	in, err := b.Receive(t.Context(), FileTransferID{}, ReceiveOptions{})
	require.NoError(t, err)
	got, err := io.ReadAll(in)
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "stood still")
	require.Equal(t, "half", string(got))
	require.NoError(t, in.Close())
}

func TestReceive_RefusesAnotherFileInTheMiddle(t *testing.T) {
	t.Parallel()
	first := true
	b := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Repr-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Content-Length", "10")
		switch {
		case r.Method == http.MethodHead:
		case first:
			first = false
			_, _ = w.Write([]byte("half"))
			panic(http.ErrAbortHandler)
		default: // another file, and all of it
			w.Header().Set("ETag", `"y"`)
			_, _ = w.Write(bytes.Repeat([]byte("x"), 10))
		}
	})
	b.retry = Retry{First: time.Millisecond, Patience: 5 * time.Second}
	in, err := b.Receive(t.Context(), FileTransferID{}, ReceiveOptions{})
	require.NoError(t, err)
	_, err = io.ReadAll(in)
	require.ErrorContains(t, err, "another one than before")
	require.NoError(t, in.Close())
}
