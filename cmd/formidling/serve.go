package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/identity"
)

// serveAPI answers requests until ctx ends, and then lets those under way finish. ready is called once
// connections are accepted; p.config then has the addresses, also those of ports that the system chose.
func (p *parts) serveAPI(ctx context.Context, ready func()) error {
	plain, err := listen(ctx, "api", &p.config.Listen, &p.config.PublicURL)
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }() // closed by its server, unless that was never started
	var certified net.Listener
	if p.config.MTLSListen != "" {
		if certified, err = listen(ctx, "api for certificates", &p.config.MTLSListen, &p.config.MTLSURL); err != nil {
			return err
		}
		defer func() { _ = certified.Close() }()
	}
	l, err := p.newLogins(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	handler, err := p.apiHandler(ctx, l)
	if err != nil {
		return err
	}
	group.Go(func() error {
		p.store.ListenForEvents(ctx, func(err error) {
			p.log.WarnContext(ctx, "events of other processes not heard; trying again", "error", err.Error())
		})
		return nil
	})
	group.Go(func() error { return p.serve(ctx, "api", plain, handler) })
	if l.server != nil {
		group.Go(func() error {
			return p.serve(ctx, "api for certificates", tls.NewListener(certified, l.server), handler)
		})
	}
	if l.trust != nil {
		group.Go(func() error { l.trust.Run(ctx); return nil })
	}
	group.Go(func() error { p.collect(ctx); return nil })
	if p.config.CodecListen != "" {
		group.Go(func() error { return p.serveCodec(ctx) })
	}
	ready()
	return group.Wait()
}

// listen opens an address; when its port was left to the system, address and URL are changed to name it.
func listen(ctx context.Context, name string, address, publicURL *string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *address)
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", name, err)
	}
	*publicURL = strings.Replace(*publicURL, *address, l.Addr().String(), 1)
	*address = l.Addr().String()
	return l, nil
}

// serve serves a handler until ctx ends. Requests that take longer than the grace period are cut.
func (p *parts) serve(ctx context.Context, name string, listener net.Listener, h http.Handler) error {
	server := api.NewHTTPServer(h)
	server.ErrorLog = slog.NewLogLogger(p.log.Handler(), slog.LevelInfo) // handshakes that were refused, with their reason
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.config.ShutdownGrace)
		defer cancel()
		err := server.Shutdown(grace)
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		stopped <- err
	}()
	p.log.InfoContext(ctx, "serving", "what", name, "address", listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", name, err)
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	return nil
}

// serveCodec lets the Temporal UI, in a browser on this machine, show payloads in clear.
func (p *parts) serveCodec(ctx context.Context) error {
	if p.codec == nil || p.config.TemporalUI == "" {
		return errors.New("FORMIDLING_CODEC_LISTEN needs FORMIDLING_PAYLOAD_KEYS and FORMIDLING_TEMPORAL_UI")
	}
	if err := identity.RequireLoopback(p.config.CodecListen, "http://localhost"); err != nil {
		return fmt.Errorf("FORMIDLING_CODEC_LISTEN: it has no login: %w", err)
	}
	decode := converter.NewPayloadCodecHTTPHandler(p.codec)
	listener, err := listen(ctx, "codec", &p.config.CodecListen, new(string))
	if err != nil {
		return err
	}
	return p.serve(ctx, "codec", listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", p.config.TemporalUI)
		h.Set("Access-Control-Allow-Methods", "POST")
		h.Set("Access-Control-Allow-Headers", "Content-Type, X-Namespace")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		decode.ServeHTTP(w, r)
	}))
}

// collect regularly deletes what processes left behind that died in the middle of an upload, and what the store remembers
// of assertions that have expired since.
func (p *parts) collect(ctx context.Context) {
	tick := time.NewTicker(api.CollectEvery)
	defer tick.Stop()
	for {
		if err := p.store.ForgetAssertions(ctx); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "used assertions not forgotten", "error", err.Error())
		}
		if err := api.CollectAbandoned(ctx, p.store, p.objects); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "abandoned uploads not collected", "error", err.Error())
		}
		if err := p.server.CollectTus(ctx); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "stale resumable uploads not collected", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// work runs the workers until ctx ends, and then lets what runs finish. It waits for Temporal when that
// does not answer yet.
func (p *parts) work(ctx context.Context, ready func()) error {
	for {
		pair := p.workers()
		err := pair.Start()
		if err == nil {
			p.log.InfoContext(ctx, "working")
			go p.keepReceiptLog(ctx)
			ready()
			p.wakeSubscriptions(ctx)
			pair.Stop()
			return nil
		}
		p.log.WarnContext(ctx, "worker not started; trying again", "error", err.Error())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}
