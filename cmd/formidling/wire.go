package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/receipts"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/worker"
	"github.com/formidling/formidling/workflows"
)

// parts are the packages of one process, connected.
type parts struct {
	config   config
	log      *slog.Logger
	store    *store.Store
	objects  objects.Store
	temporal client.Client
	// namespace of Temporal
	namespace string
	codec     *workflows.Encryption // nil: payloads in clear
	webhooks  webhooks
	now       func() time.Time
	receipts  *receipts.Keys // nil: nothing is signed
	server    *api.Server    // once there is a handler
}

// errNoKeys keeps file names out of Temporal's database by default.
var errNoKeys = errors.New("FORMIDLING_PAYLOAD_KEYS is empty: without it file names and properties would be stored in clear in Temporal; only run and demo do that")

// connect opens everything that both API and worker need. Nothing is dialled yet: a process may start
// before what it depends on.
func connect(ctx context.Context, c config, demo bool) (*parts, error) {
	p := &parts{config: c, log: newLogger(c), now: time.Now}
	if !demo {
		if err := c.requireShared(); err != nil {
			return nil, err
		}
		if c.PayloadKeys == "" {
			return nil, errNoKeys
		}
	}
	if strings.HasPrefix(c.DatabaseURL, "sqlite:") {
		if err := os.MkdirAll(filepath.Dir(strings.TrimPrefix(c.DatabaseURL, "sqlite:")), 0o700); err != nil {
			return nil, fmt.Errorf("make database directory: %w", err)
		}
	}
	var err error
	if c.PayloadKeys != "" {
		if p.codec, err = workflows.NewEncryption(c.PayloadKeys); err != nil {
			return nil, err
		}
	}
	if p.webhooks, err = newWebhooks(&c, demo); err != nil {
		return nil, err
	}
	if p.store, err = store.Open(c.DatabaseURL, store.Options{MaxConns: c.DatabaseConnections, Now: p.now, Quotas: &c.Quotas, UploadsPerOrganisation: c.UploadsEach}); err != nil {
		return nil, err
	}
	o := objects.Options{PoolBytes: c.GCSBuffers, ReserveBytes: c.DiskReserve}
	if p.objects, err = objects.Connect(ctx, c.Objects, o); err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	if err = p.connectTemporal(); err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	if err = p.openReceiptKeys(ctx, demo); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// newLogger writes to standard error, so that what a command prints stays clean.
func newLogger(c config) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// connectTemporal follows Temporal's own environment variables and configuration file.
func (p *parts) connectTemporal() error {
	o, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{})
	if err != nil {
		return fmt.Errorf("configure temporal: %w", err)
	}
	if p.config.TemporalAddress != "" {
		o.HostPort = p.config.TemporalAddress
	}
	if p.namespace = o.Namespace; p.namespace == "" {
		p.namespace = client.DefaultNamespace
	}
	o.Logger = sdklog.NewStructuredLogger(ofTemporal(p.log))
	if nearby(o.HostPort) {
		o.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{} // it would cost both sides CPU and save nothing
	}
	if p.codec != nil {
		o.DataConverter = converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), p.codec)
		o.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
			DataConverter: o.DataConverter, EncodeCommonAttributes: true,
		})
	}
	if p.temporal, err = client.NewLazyClient(o); err != nil {
		return fmt.Errorf("connect to temporal: %w", err)
	}
	return nil
}

// nearby reports whether an address is on this machine.
func nearby(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// ofTemporal marks what Temporal's SDK logs, which also reports what is normal, such as a rejected update.
func ofTemporal(log *slog.Logger) *slog.Logger {
	return log.With("part", "temporal")
}

func (p *parts) close() {
	p.temporal.Close()
	if err := p.store.Close(); err != nil {
		p.log.Warn("database not closed", "error", err.Error())
	}
}

// apiHandler connects the API.
func (p *parts) apiHandler(ctx context.Context, l *logins) (http.Handler, error) {
	ports := api.Ports{
		Authenticator: l.verifier, Transfers: workflows.NewClient(p.temporal), Views: p.store, Uploads: p.store, Resumables: p.store, Drafts: p.objects,
		Downloads: p.store, Services: p.store, Rights: p.store, Registry: p.store, Contents: p.objects, Log: p.log, Now: p.now,
		Feed: p.store, Closing: ctx.Done(),
		Receipts: p.store,
	}
	if p.receipts != nil {
		ports.Evidence = p.evidence()
	}
	if l.trust != nil {
		ports.Proofs = l.trust
	}
	if l.exchange != nil {
		ports.Tokens = l.exchange
	}
	ports.Subscriptions, ports.Subscribers, ports.Webhooks = p.store, workflows.NewClient(p.temporal), p.webhooks
	server := api.New(ports, api.Settings{
		MaxRecipients: p.config.MaxRecipients, UploadSlots: p.config.UploadSlots, Environment: p.config.Environment,
		PublicURL: p.config.PublicURL, MTLSURL: p.config.MTLSURL, EventListeners: p.config.EventListeners,
		UploadsPerOrganisation: p.config.uploadsEach(), DownloadsPerOrganisation: p.config.DownloadsEach,
	})
	p.server = server
	return server.Handler()
}

// workers connects the activities and prepares the workers.
func (p *parts) workers() *worker.Pair {
	a := activities.WithReceipts(activities.New(p.store, p.store, p.objects, p.config.UploadDeadline), p.receiptIssuer(), p.receiptLog())
	return worker.New(p.temporal, a, worker.Options{
		Webhooks: p.pusher(), MaxWebhooks: p.config.MaxWebhooks,
		MaxPurges: p.config.MaxPurges, StopTimeout: p.config.ShutdownGrace,
		Versioned: p.config.WorkerVersion != "", BuildID: p.config.WorkerVersion, DeploymentName: "formidling",
	})
}
