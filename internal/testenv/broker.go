package testenv

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Broker is a whole `formidling run`, which makes up its organisations.
type Broker struct {
	URL  string // for tokens
	MTLS string // for certificates
	Data string // FORMIDLING_DATA; its pki/ holds root.pem and the organisations' certificates
	Out  *Output

	env  []string
	proc *process
}

var (
	broker     *Broker
	errBroker  error
	brokerOnce sync.Once
)

// SharedBroker returns the test binary's shared broker.
func SharedBroker(t testing.TB) *Broker {
	t.Helper()
	brokerOnce.Do(func() { broker, errBroker = StartBroker() })
	require.NoError(t, errBroker)
	return broker
}

// StartBroker starts a broker that its caller alone uses, with further settings.
func StartBroker(settings ...string) (*Broker, error) {
	data, err := os.MkdirTemp("", "formidling-broker-")
	if err != nil {
		return nil, err
	}
	var listen [2]string
	for i := range listen {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		listen[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	b := &Broker{URL: "http://" + listen[0], MTLS: "https://" + listen[1], Data: data}
	b.env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + data, "FORMIDLING_DATA=" + data, "FORMIDLING_LISTEN=" + listen[0], "FORMIDLING_MTLS_LISTEN=" + listen[1]}, settings...)
	return b, b.Start()
}

// Certificate is the file of an organisation's certificate with its key.
func (b *Broker) Certificate(number string) string {
	return filepath.Join(b.Data, "pki", number+".pem")
}

// Root is the file of the certificate that the broker's own is signed by.
func (b *Broker) Root() string { return filepath.Join(b.Data, "pki", "root.pem") }

// Start starts it again, with the data that it had.
func (b *Broker) Start() error {
	program, err := Program("formidling")
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "run", "--temporal-port", "0", "--temporal-ui-port", "0")
	b.Out = &Output{}
	cmd.Env, cmd.Stdout, cmd.Stderr = b.env, b.Out, b.Out
	if b.proc, err = start(cmd); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	return until(60*time.Second, "the broker serves", func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("it answered %s: %s", response.Status, b.Out)
		}
		return nil
	})
}

// Kill ends it as kill -9 does; Start starts it again.
func (b *Broker) Kill() { b.proc.signal(syscall.SIGKILL); b.proc.wait() }

// Stop ends it in good order and removes its data.
func (b *Broker) Stop() {
	b.proc.signal(syscall.SIGTERM)
	b.proc.wait()
	_ = os.RemoveAll(b.Data)
}
