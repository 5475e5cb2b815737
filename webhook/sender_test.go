package webhook

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

const (
	testKeys = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	alice    = models.Party("0192:310000027")
	bob      = models.Party("0192:310000035")
)

func itoa(n int) string { return strconv.Itoa(n) }

// setup makes a sender that may send to this machine, and a message with one secret.
func setup(t *testing.T, o Options) (*Sender, *Keys, models.Message, string) {
	t.Helper()
	k, err := NewKeys(testKeys)
	require.NoError(t, err)
	clear, sealed, err := k.NewSecret(alice)
	require.NoError(t, err)
	m := models.Message{ID: uuid.New(), Party: alice, Secrets: []string{sealed}, Body: []byte(`{"specversion":"1.0"}`)}
	return NewSender(k, guard(t, "127.0.0.0/8"), o), k, m, clear
}

func TestSender_SignsAsStandardWebhooksHasIt(t *testing.T) {
	t.Parallel()
	at := time.Now()
	s, k, m, secret := setup(t, Options{Now: func() time.Time { return at }})
	second, sealed, err := k.NewSecret(alice)
	require.NoError(t, err)
	m.Secrets = append([]string{sealed}, m.Secrets...)
	got := make(chan *http.Request, 1)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		got <- r
	}))
	defer endpoint.Close()
	m.EndPoint = endpoint.URL + "/hook?token=secret"
	a, err := s.Send(t.Context(), m)
	require.NoError(t, err)
	require.True(t, a.Delivered())
	r := <-got
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, "application/cloudevents+json", r.Header.Get("Content-Type"))
	require.Equal(t, m.ID.String(), r.Header.Get("Webhook-Id"))
	require.Regexp(t, "^00-"+strings.ReplaceAll(m.ID.String(), "-", "")+"-[0-9a-f]{16}-01$", r.Header.Get("Traceparent"))
	require.Empty(t, r.Header.Values("Idempotency-Key"))

	signed := fmt.Sprintf("%s.%d.%s", m.ID, at.Unix(), body)
	signatures := strings.Fields(r.Header.Get("Webhook-Signature"))
	require.Len(t, signatures, 4)
	for i, secret := range []string{second, secret} {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		require.NoError(t, err)
		mac := hmac.New(sha256.New, raw)
		mac.Write([]byte(signed))
		require.Equal(t, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), signatures[i])
	}
	for i, public := range k.PublicKeys() {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public.Public, "whpk_"))
		require.NoError(t, err)
		signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signatures[2+i], "v1a,"))
		require.NoError(t, err)
		require.True(t, ed25519.Verify(raw, []byte(signed), signature))
	}
}

func TestKeys_OpenSecretsForTheirOwnerOnlyAndWithOlderKeys(t *testing.T) {
	t.Parallel()
	older, err := NewKeys("old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
	require.NoError(t, err)
	secret, sealed, err := older.NewSecret(alice)
	require.NoError(t, err)
	require.NotContains(t, sealed, strings.TrimPrefix(secret, "whsec_"))
	both, err := NewKeys(testKeys)
	require.NoError(t, err)
	got, err := both.Secret(alice, sealed)
	require.NoError(t, err)
	require.Equal(t, secret, got)
	_, err = both.Secret(bob, sealed)
	require.Error(t, err)
	newer, err := NewKeys("new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	require.NoError(t, err)
	_, err = newer.Secret(alice, sealed)
	require.ErrorContains(t, err, `"old" is not configured`)
	for _, bad := range []string{"", "x", "x:", "x:AAAA", ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		_, err := NewKeys(bad)
		require.Error(t, err, bad)
	}
}

// hostile answers on a raw connection, after the head of the request was read.
func hostile(t *testing.T, answer func(c net.Conn)) string {
	t.Helper()
	return hostileAt(t, "127.0.0.1", answer)
}

func hostileAt(t *testing.T, host string, answer func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					answer(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestSender_IsNotHeldByHostileEndpoints(t *testing.T) {
	t.Parallel()
	endless := func(head string) func(c net.Conn) {
		return func(c net.Conn) {
			chunk := strings.Repeat("x", 1<<10)
			for _, err := io.WriteString(c, head); err == nil; _, err = io.WriteString(c, chunk) {
			}
		}
	}
	drip := func(c net.Conn) {
		for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"); err == nil; _, err = io.WriteString(c, "x") {
			time.Sleep(100 * time.Millisecond)
		}
	}
	for name, test := range map[string]struct {
		answer func(c net.Conn)
		fault  string
		within time.Duration
	}{
		"says nothing":        {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "did not answer within 10s", attemptWait + time.Second},
		"never ends its head": {endless("HTTP/1.1 200 OK\r\nX: "), "no HTTP", 5 * time.Second},
		"never ends its body": {endless("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"), "", 5 * time.Second},
		"drips":               {drip, "", 5 * time.Second},
		"resets":              {func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, "closed the connection", 5 * time.Second},
		"is no HTTP":          {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n\r\n") }, "no HTTP", 5 * time.Second},
		"redirects to the sky": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 307 X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
		}, "It answered 307; redirects are not followed.", 5 * time.Second},
		"fails": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n") }, "It answered 500.", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, m, _ := setup(t, Options{})
			m.EndPoint = hostile(t, test.answer) + "/?token=hidden"
			began := time.Now()
			a, err := s.Send(t.Context(), m)
			require.NoError(t, err)
			require.Less(t, time.Since(began), test.within)
			require.Contains(t, a.Fault, test.fault)
			require.Equal(t, test.fault == "", a.Delivered(), a.Fault)
			require.NotContains(t, a.Fault, "hidden")
		})
	}
}

func TestSender_HeedsWhatEndpointsAsk(t *testing.T) {
	t.Parallel()
	s, _, m, _ := setup(t, Options{})
	m.EndPoint = hostile(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 503 X\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")
	})
	a, err := s.Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, 2*time.Minute, a.RetryAfter)
	m.EndPoint = hostile(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 410 X\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n")
	})
	a, err = s.Send(t.Context(), m)
	require.NoError(t, err)
	require.True(t, a.Gone)
	require.Equal(t, maxRetryAfter, a.RetryAfter)
}

func TestSender_WantsACertificateItTrusts(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer secure.Close()
	s, _, m, _ := setup(t, Options{})
	m.EndPoint = secure.URL
	a, err := s.Send(t.Context(), m)
	require.NoError(t, err)
	require.Contains(t, a.Fault, "certificate was not accepted")
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	s, _, m, _ = setup(t, Options{Roots: roots})
	m.EndPoint = secure.URL
	a, err = s.Send(t.Context(), m)
	require.NoError(t, err)
	require.True(t, a.Delivered(), a.Fault)
}

func TestSender_UsesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s, _, m, _ := setup(t, Options{})
	m.EndPoint = hostile(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 204 X\r\n\r\n") })
	a, err := s.Send(t.Context(), m)
	require.NoError(t, err)
	require.True(t, a.Delivered(), a.Fault)
	require.Nil(t, s.plain.Transport.(*http.Transport).Proxy)
	require.Nil(t, s.secure.Transport.(*http.Transport).Proxy)
}

func TestSender_BoundsWhatOneHostAndOneOrganisationHold(t *testing.T) {
	t.Parallel()
	s, _, m, _ := setup(t, Options{PerHost: 1, PerParty: 2})
	arrived, finish := make(chan struct{}), make(chan struct{})
	answer := func(c net.Conn) {
		arrived <- struct{}{}
		<-finish
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	send := func(endPoint string, of models.Party) (models.Answer, error) {
		m := m
		m.EndPoint, m.Party, m.Secrets = endPoint, of, nil
		return s.Send(context.Background(), m)
	}
	url := hostile(t, answer)
	results := make(chan models.Answer, 2)
	for _, at := range []string{url, hostileAt(t, "127.0.0.2", answer)} {
		go func() { a, _ := send(at, alice); results <- a }()
		<-arrived
	}
	a, err := send(url, bob)
	require.NoError(t, err)
	require.True(t, a.Busy, "the host is taken")
	a, err = send("http://127.0.0.3:1/", alice)
	require.NoError(t, err)
	require.True(t, a.Busy, "the organisation has its share")
	close(finish)
	require.True(t, (<-results).Delivered())
	require.True(t, (<-results).Delivered())
	require.Zero(t, s.hosts.Keys())
	require.Zero(t, s.parties.Keys())
}
