package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/formidling/formidling/models"
)

// Bounds of what an issuer's key server may cost us, and we it.
const (
	keysFresh   = time.Hour   // then they are fetched again, while the request that noticed goes on
	keysRetry   = time.Minute // between two fetches, whatever strangers put into kid
	keysTimeout = 10 * time.Second
	maxKeySet   = 1 << 20 // bytes
)

// RemoteKeys are the keys that an issuer publishes under a URL. They are fetched when first asked for,
// again after an hour of use, and when an unknown key id may mean that the issuer has rotated; never more
// than once a minute. A fetch that fails leaves the keys as they were.
type RemoteKeys struct {
	url        string
	algorithms []jose.SignatureAlgorithm
	client     *http.Client
	now        func() time.Time
	log        *slog.Logger

	mu      sync.Mutex
	keys    keyMap    // nil until the first fetch that succeeded
	fetched time.Time // when the keys were received
	tried   time.Time // when the last fetch began
	flight  chan struct{}
}

// NewRemoteKeys keeps those keys published under address that fit one of the algorithms. The address is
// https; plain http serves loopback only. Failed fetches are written to the log, or nowhere when it is nil.
func NewRemoteKeys(address string, algorithms []jose.SignatureAlgorithm, now func() time.Time, log *slog.Logger) (*RemoteKeys, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL")
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("it needs a host, and takes neither user nor fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("it must be https; http is for loopback only")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &RemoteKeys{
		url: address, algorithms: algorithms, now: now, log: log,
		client: &http.Client{
			Timeout: keysTimeout,
			// The operator named one address. Where that one points is somebody else's decision.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Key implements Keys. It waits for a fetch only when the key id is unknown, and not longer than ctx or the
// fetch's own time limit. As long as no fetch has succeeded the error wraps models.ErrUnavailable.
func (r *RemoteKeys) Key(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	found, flight := r.look(ctx, kid)
	if len(found) > 0 || flight == nil {
		return found, r.missing()
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for keys: %w", ctx.Err())
	}
	r.mu.Lock()
	found = r.keys[kid]
	r.mu.Unlock()
	return found, r.missing()
}

// look finds keys, and starts a fetch when they are old or not there. It returns the fetch in flight.
func (r *RemoteKeys) look(ctx context.Context, kid string) ([]jose.JSONWebKey, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, now := r.keys[kid], r.now()
	wanted := len(found) == 0 || now.Sub(r.fetched) >= keysFresh
	if wanted && r.flight == nil && now.Sub(r.tried) >= keysRetry {
		r.tried, r.flight = now, make(chan struct{})
		// The caller who noticed may go away; the others wait for the same fetch.
		go r.refresh(context.WithoutCancel(ctx), r.flight)
	}
	return found, r.flight
}

// missing is the error of a set that has never been there.
func (r *RemoteKeys) missing() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		return fmt.Errorf("fetch keys of an issuer: %w", models.ErrUnavailable)
	}
	return nil
}

// refresh replaces the keys by what the issuer publishes now, and wakes those who wait.
func (r *RemoteKeys) refresh(ctx context.Context, done chan struct{}) {
	keys, err := r.fetch(ctx)
	if err != nil {
		r.log.WarnContext(ctx, "issuer's keys not fetched", "url", r.url, "error", err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.keys, r.fetched = newKeyMap(keys), r.now()
	}
	r.flight = nil
	close(done)
}

func (r *RemoteKeys) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, http.NoBody) //nolint:gosec // G704: the address is in the configuration
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := r.client.Do(request) //nolint:gosec // as above
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch keys: answer %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	if len(body) > maxKeySet {
		return nil, fmt.Errorf("fetch keys: more than %d bytes", maxKeySet)
	}
	all, err := parseKeys(body)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	keys := selectKeys(all, r.algorithms)
	if len(keys) == 0 {
		return nil, fmt.Errorf("fetch keys: %w", errNoUsableKey)
	}
	return keys, nil
}
