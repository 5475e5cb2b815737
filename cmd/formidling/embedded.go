package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/internal/devtemporal"
)

// embedded is the whole broker on one machine: Temporal as a child process, API and worker in this one.
type embedded struct {
	*parts
	ui string // of Temporal; empty when Temporal is somebody else's
}

// runEmbedded starts everything, calls serving when all is ready, and stops everything when it returns or
// ctx ends: first the API, then the worker, then Temporal, so that what a request began is finished.
func runEmbedded(ctx context.Context, c config, ports devtemporal.Ports, serving func(ctx context.Context, e *embedded) error) error {
	if c.TemporalAddress == "" {
		temporal, err := devtemporal.Start(ctx, c.Data, ports)
		if err != nil && ports.Server > 0 && ctx.Err() == nil { // the devstack names its own flags, which are not ours
			return fmt.Errorf("%w; --temporal-port and --temporal-ui-port choose other ports", err)
		}
		if err != nil {
			return err
		}
		defer temporal.Stop()
		c.TemporalAddress, c.TemporalUI = temporal.Address, temporal.UI
	}
	p, err := connect(ctx, c, true)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.store.Migrate(ctx); err != nil {
		return err
	}
	workerContext, stopWorker := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorker()
	working, serves := make(chan struct{}), make(chan struct{})
	var background errgroup.Group
	background.Go(func() error {
		select {
		case <-serves: // receipts and webhooks carry the address, which the system may have chosen
		case <-workerContext.Done():
			return nil
		}
		return p.work(workerContext, func() { close(working) })
	})
	group, groupContext := errgroup.WithContext(ctx)
	groupContext, stop := context.WithCancel(groupContext)
	group.Go(func() error { return p.serveAPI(groupContext, func() { close(serves) }) })
	group.Go(func() error {
		defer stop()
		e := &embedded{parts: p, ui: c.TemporalUI}
		select {
		case <-serves:
		case <-groupContext.Done():
			return nil
		}
		select {
		case <-working:
		case <-groupContext.Done():
			return nil
		}
		return serving(groupContext, e)
	})
	err = group.Wait()
	stopWorker()
	return errors.Join(err, background.Wait())
}
