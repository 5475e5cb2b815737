package identity

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// serve answers every request with whom it is from, and says whether its connection was resumed.
func (b *trusting) serve(t *testing.T) string {
	t.Helper()
	certificate, err := b.pki.Server()
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{
		TLSConfig: b.ServerConfig(certificate), ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			party, err := b.Recheck(r.TLS.PeerCertificates)
			if err != nil || r.TLS.DidResume {
				w.WriteHeader(http.StatusUnauthorized)
			}
			_, _ = io.WriteString(w, string(party))
		}),
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	return "https://" + listener.Addr().String()
}

// client presents a certificate whatever the server hints at, and tries to resume.
func (b *trusting) client(t *testing.T, c tls.Certificate, change func(*http.Transport)) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(b.pki.Root())
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, Time: b.clock.now, ClientSessionCache: tls.NewLRUClientSessionCache(8),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil },
	}}
	change(transport)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// ask returns the answer's status and text, and whether an open connection carried it.
func ask(t *testing.T, client *http.Client, url string) (status int, text string, reused bool, err error) {
	t.Helper()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := client.Do(r)
	if err != nil {
		return 0, "", false, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, string(raw), reused, err
}

func TestServerConfig_AdmitsTheAcceptedCasesOnlyAndNeverResumes(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := trustAll(t, TrustOptions{SEID1: true})
			url := b.serve(t)
			for _, c := range b.pki.Cases() {
				client := b.client(t, c.Certificate, func(tr *http.Transport) {
					tr.TLSClientConfig.MinVersion, tr.TLSClientConfig.MaxVersion = version, version
					tr.DisableKeepAlives = true // every request makes a connection
				})
				for range 2 {
					status, text, reused, err := ask(t, client, url)
					require.Equal(t, c.Accepted, err == nil, "%s: %v", c.Name, err)
					require.False(t, reused)
					if c.Accepted {
						require.Equal(t, http.StatusOK, status, c.Name)
						require.Equal(t, string(c.Party), text, c.Name)
					}
				}
			}
		})
	}
}

func TestServerConfig_RefusesOldTLSAndClientsWithoutCertificate(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	url := b.serve(t)
	good := b.pki.Case("seid2-p256").Certificate
	_, _, _, err := ask(t, b.client(t, tls.Certificate{}, func(*http.Transport) {}), url)
	require.Error(t, err)
	_, _, _, err = ask(t, b.client(t, good, func(tr *http.Transport) {
		tr.TLSClientConfig.MinVersion, tr.TLSClientConfig.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	}), url)
	require.Error(t, err)
}

func TestServerConfig_HintsWhichCertificateToPresent(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	url := b.serve(t)
	foreign := trustAll(t, TrustOptions{})
	client := b.client(t, tls.Certificate{}, func(tr *http.Transport) {
		tr.TLSClientConfig.GetClientCertificate = nil
		tr.TLSClientConfig.Certificates = []tls.Certificate{foreign.pki.Case("seid2-p256").Certificate, b.pki.Case("sub-unit").Certificate}
	})
	status, text, _, err := ask(t, client, url)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "0192:310000019", text)
}

func TestRecheck_EndsALoginInTheMiddleOfAConnection(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Transport){
		"HTTP/1.1": func(*http.Transport) {},
		"HTTP/2":   func(tr *http.Transport) { tr.ForceAttemptHTTP2 = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := trustAll(t, TrustOptions{})
			url := b.serve(t)
			c, err := b.pki.Organisation("310000027")
			require.NoError(t, err)
			client := b.client(t, c, change)
			first := true
			answers := func(want int) {
				t.Helper()
				status, _, reused, err := ask(t, client, url)
				require.NoError(t, err)
				require.Equal(t, want, status)
				require.NotEqual(t, first, reused, "all requests share a connection")
				first = false
			}
			refresh := func() { require.ErrorContains(t, b.Refresh(t.Context()), "CA without List") }

			answers(http.StatusOK)
			require.NoError(t, b.pki.Revoke(c, true))
			answers(http.StatusOK) // until the next list
			refresh()
			answers(http.StatusUnauthorized)
			require.NoError(t, b.pki.Lift(c))
			refresh()
			answers(http.StatusOK)
			b.clock.advance(365*24*time.Hour + time.Second) // nobody got a list for a year
			answers(http.StatusUnauthorized)
			b.clock.advance(-365 * 24 * time.Hour)
			answers(http.StatusOK)
			require.NoError(t, b.pki.Revoke(c, false))
			refresh()
			answers(http.StatusUnauthorized)
		})
	}
}

func TestTrust_MayBeUsedByManyAtOnce(t *testing.T) {
	t.Parallel()
	b := trustAll(t, TrustOptions{})
	good, bad := chainOf(t, b.pki.Case("seid2-p256").Certificate), chainOf(t, b.pki.Case("revoked").Certificate)
	failed := make(chan error, 16)
	for i := range cap(failed) {
		go func() {
			var err error
			for range 50 {
				switch i % 4 {
				case 0:
					_, err = b.Verify(good)
				case 1:
					_, err = b.Recheck(good)
				case 2:
					if _, bad := b.Recheck(bad); bad == nil {
						err = models.ErrInternal
					}
				default:
					_ = b.Refresh(t.Context())
				}
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		require.NoError(t, <-failed)
	}
}
