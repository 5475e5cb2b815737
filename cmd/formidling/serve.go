package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/identity"
)

// serveAPI answers requests until ctx ends, and then lets those under way finish. ready is called with
// the address once connections are accepted.
func (p *parts) serveAPI(ctx context.Context, ready func(net.Addr)) error {
	handler, err := p.apiHandler()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.listen(ctx, "api", p.config.Listen, handler, ready) })
	group.Go(func() error { p.collect(ctx); return nil })
	if p.config.CodecListen != "" {
		group.Go(func() error { return p.serveCodec(ctx) })
	}
	return group.Wait()
}

// listen serves a handler until ctx ends. Requests that take longer than the grace period are cut.
func (p *parts) listen(ctx context.Context, name, address string, h http.Handler, ready func(net.Addr)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serve %s: %w", name, err)
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
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
	ready(listener.Addr())
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
	return p.listen(ctx, "codec", p.config.CodecListen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", p.config.TemporalUI)
		h.Set("Access-Control-Allow-Methods", "POST")
		h.Set("Access-Control-Allow-Headers", "Content-Type, X-Namespace")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		decode.ServeHTTP(w, r)
	}), func(net.Addr) {})
}

// collect deletes, from time to time, files whose process died before they had a transfer.
func (p *parts) collect(ctx context.Context) {
	tick := time.NewTicker(api.CollectEvery)
	defer tick.Stop()
	for {
		if err := api.CollectAbandoned(ctx, p.store, p.objects); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "abandoned uploads not collected", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// work runs the workers until ctx ends, and then lets what runs finish. It waits for a Temporal that is
// not there yet.
func (p *parts) work(ctx context.Context, ready func()) error {
	for {
		pair := p.workers()
		err := pair.Start()
		if err == nil {
			p.log.InfoContext(ctx, "working")
			ready()
			<-ctx.Done()
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
