package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
)

// The organisations of the measurements; their numbers belong to nobody.
const (
	ownerParty     models.Party = "0192:310000019"
	senderParty    models.Party = "0192:310000027"
	recipientParty models.Party = "0192:310000035"
)

// The services of the measurements: what follows when all have confirmed is purged at once, or later.
// A third one computes no MD5.
const (
	serviceNow   = "bench-purges-at-once"
	serviceLater = "bench-purges-later"
	serviceNoMD5 = "bench-without-md5"
)

// broker is a Formidling that serves, with two services that senderParty and recipientParty may use.
type broker struct {
	*process
	base     string // URL
	mtls     string // URL for those who log in with a certificate
	data     string // directory
	temporal string // address, empty without Temporal
	issuer   *identity.DevIssuer

	environ []string
	args    []string
}

// startBroker runs the real program with state of its own. database is its DATABASE_URL; empty means the
// embedded default. More settings win over ours.
func (l *lab) startBroker(ctx context.Context, name, database string, more ...string) (*broker, error) {
	var ports [3]int
	for i := range ports {
		var err error
		if ports[i], err = testenv.FreePort(); err != nil {
			return nil, err
		}
	}
	listen := "127.0.0.1:" + strconv.Itoa(ports[0])
	b := &broker{
		base: "http://" + listen, data: filepath.Join(l.tmp, name), temporal: "127.0.0.1:" + strconv.Itoa(ports[1]),
		args: []string{"run", "--temporal-port", strconv.Itoa(ports[1]), "--temporal-ui-port", "0"},
	}
	certified := "127.0.0.1:" + strconv.Itoa(ports[2])
	b.mtls = "https://" + certified
	b.environ = append(foreignEnvironment(), "FORMIDLING_LISTEN="+listen, "FORMIDLING_MTLS_LISTEN="+certified, "FORMIDLING_DATA="+b.data,
		"FORMIDLING_SHUTDOWN_GRACE=PT2S", "DATABASE_URL="+database,
		"FORMIDLING_UPLOADS_PER_ORGANISATION=1000", "FORMIDLING_DOWNLOADS_PER_ORGANISATION=5000") // all clients are one organisation
	b.environ = append(b.environ, more...)
	if err := os.MkdirAll(b.data, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	if err := b.launch(l); err != nil {
		return nil, err
	}
	if err := b.open(ctx); err != nil {
		b.stop()
		return nil, fmt.Errorf("%w; it said: %s", err, b.tail())
	}
	return b, nil
}

// startDirect runs the same API, store and objects as startBroker, without Temporal (direct.go).
func (l *lab) startDirect(ctx context.Context) (*broker, error) {
	b := &broker{data: filepath.Join(l.tmp, "direct")}
	var err error
	if b.process, b.base, err = l.startPeer("direct", b.data); err != nil {
		return nil, err
	}
	if err := b.open(ctx); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// foreignEnvironment is ours without settings of a Formidling, which must not leak into what we measure.
func foreignEnvironment() []string {
	var out []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasPrefix(name, "FORMIDLING_"), strings.HasPrefix(name, "TEMPORAL_"),
			name == "DATABASE_URL", name == "OBJECTS", name == "STORAGE_EMULATOR_HOST":
		default:
			out = append(out, entry)
		}
	}
	return out
}

// launch starts the program, for the first time or again on the same state.
func (b *broker) launch(l *lab) (err error) {
	cmd := exec.Command(l.program, b.args...)
	cmd.Env = b.environ
	b.process, err = start(cmd, filepath.Join(b.data, "log"))
	return err
}

// open waits until the broker serves and makes the services.
func (b *broker) open(ctx context.Context) (err error) {
	if err = b.ready(ctx, time.Minute); err != nil {
		return err
	}
	if b.issuer, err = identity.OpenDevIssuer(b.data, time.Now); err != nil {
		return err
	}
	owner, err := b.as(ownerParty)
	if err != nil {
		return err
	}
	if err := owner.call(ctx, http.MethodPost, "/serviceowner", map[string]any{"name": "Bench"}, nil); err != nil {
		return err
	}
	for service, policy := range map[string]map[string]any{
		serviceNow:   {"purgeFileTransferGracePeriod": "PT0S"},
		serviceLater: {"purgeFileTransferGracePeriod": "PT2H", "maxFileTransferSize": int64(1) << 40},
		serviceNoMD5: {"purgeFileTransferGracePeriod": "PT2H", "computeMd5": false},
	} {
		if err := owner.call(ctx, http.MethodPut, "/resource/"+service, policy, nil); err != nil {
			return err
		}
		if err := owner.allow(ctx, service, senderParty, true, false); err != nil {
			return err
		}
		if err := owner.allow(ctx, service, recipientParty, false, true); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until the broker says that it has all it needs.
func (b *broker) ready(ctx context.Context, limit time.Duration) error {
	return until(ctx, limit, "the broker serves", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := wire.Do(r)
		switch {
		case err != nil && b.ended():
			return fmt.Errorf("serve: %w: the process ended", errHopeless)
		case err != nil:
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", response.Status)
		}
		return nil
	})
}

// as gives an organisation a client with a token.
func (b *broker) as(party models.Party) (*organisation, error) {
	token, err := b.issuer.Token(party, []string{models.ScopeWrite, models.ScopeRead, models.ScopeServiceOwner}, 2*time.Hour)
	if err != nil {
		return nil, err
	}
	return &organisation{party: party, base: b.base + "/broker/api/v1", token: token}, nil
}

// pair is the usual sender and recipient.
func (b *broker) pair() (sender, recipient *organisation, err error) {
	if sender, err = b.as(senderParty); err != nil {
		return nil, nil, err
	}
	recipient, err = b.as(recipientParty)
	return sender, recipient, err
}

// dial opens a connection of our own to the broker's Temporal, to read histories.
func (b *broker) dial(ctx context.Context) (client.Client, error) {
	c, err := client.DialContext(ctx, client.Options{HostPort: b.temporal, Logger: silent{}})
	if err != nil {
		return nil, fmt.Errorf("connect to temporal: %w", err)
	}
	return c, nil
}

// silent is a logger for the Temporal client: its errors come back to us anyway.
type silent struct{}

// Debug and the others implement log.Logger.
func (silent) Debug(string, ...any) {}

// Info says nothing.
func (silent) Info(string, ...any) {}

// Warn says nothing.
func (silent) Warn(string, ...any) {}

// Error says nothing.
func (silent) Error(string, ...any) {}

// files counts what lies in the object directory of a transfer, or of all when none is named.
func (b *broker) files(transfer string) int {
	n := 0
	_ = filepath.WalkDir(filepath.Join(b.data, "objects", "ft", transfer), func(_ string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			n++
		}
		return nil // absent means none
	})
	return n
}

// purged waits until no more than some objects are left, and says how long that took.
func (b *broker) purged(ctx context.Context, left int, limit time.Duration) (time.Duration, error) {
	began := time.Now()
	err := until(ctx, limit, "all files are purged", func(context.Context) error {
		if n := b.files(""); n > left {
			return fmt.Errorf("%d are there, not %d", n, left)
		}
		return nil
	})
	return time.Since(began), err
}
