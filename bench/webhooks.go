package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/internal/testenv"
)

const (
	hooksRate = 20      // transfers started per second, whether those before have ended or not
	hooksFile = 4 << 10 // bytes
	hooksLate = 30 * time.Second
)

// notified measures how soon a recipient's endpoint is notified of a file, while transfers come at a steady rate.
func notified(ctx context.Context, l *lab) (result, error) {
	r := result{Tables: []table{{
		title:   fmt.Sprintf("last byte accepted → webhook at the recipient, %d transfers/s", hooksRate),
		columns: []string{"", "transfers", "p50 ms", "p99 ms", "max ms", "of it after the event p50", "p99 ms", "notified twice"},
	}}}
	if err := l.notifiedOn(ctx, &r, "embedded default", ""); err != nil {
		return r, err
	}
	pg, err := testenv.StartPostgres("fsync=on") //nolint:contextcheck // it has a limit of its own
	if err != nil {
		return r, err
	}
	defer pg.Stop()
	return r, l.notifiedOn(ctx, &r, "PostgreSQL", pg.URL("postgres"))
}

func (l *lab) notifiedOn(ctx context.Context, r *result, name, database string) error {
	b, err := l.startBroker(ctx, "webhooks-"+strings.Fields(name)[0], database)
	if err != nil {
		return err
	}
	defer b.stop()
	sender, recipient, err := b.pair()
	if err != nil {
		return err
	}
	e, err := listenForHooks(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	if err := e.subscribe(ctx, b, recipient); err != nil {
		return err
	}
	l.say("webhooks, %s: %d transfers/s for %s", name, hooksRate, l.loadTime)
	sent, err := steady(ctx, sender, recipient, int(l.loadTime.Seconds()*hooksRate))
	if err != nil {
		return err
	}
	waits, own, err := e.waits(ctx, sent)
	if err != nil {
		return err
	}
	r.Tables[0].add(name, len(waits), waits.quantile(0.5), waits.quantile(0.99), waits.quantile(1),
		own.quantile(0.5), own.quantile(0.99), e.repeats())
	r.Targets = append(r.Targets, atMost("last byte → webhook, p99, "+name, waits.quantile(0.99), 1000, "ms"))
	return nil
}

// steady starts n transfers at hooksRate and returns when the last byte of each was sent.
func steady(ctx context.Context, sender, recipient *organisation, n int) (map[string]time.Time, error) {
	var mu sync.Mutex
	sent := map[string]time.Time{}
	group, ctx := errgroup.WithContext(ctx)
	tick := time.NewTicker(time.Second / hooksRate)
	defer tick.Stop()
	for range n {
		select {
		case <-ctx.Done():
			return sent, group.Wait()
		case <-tick.C:
		}
		group.Go(func() error {
			id, err := sender.initialize(ctx, serviceLater, recipient.party)
			if err != nil {
				return err
			}
			last := &lastByte{from: &body{left: hooksFile}}
			err = sender.upload(ctx, id, last, hooksFile)
			mu.Lock()
			defer mu.Unlock()
			sent[id] = last.at
			return err
		})
	}
	return sent, group.Wait()
}

// hooksEndpoint notes when it is notified of each transfer.
type hooksEndpoint struct {
	url    string
	server *http.Server

	mu      sync.Mutex
	arrived map[string]arrival
	twice   int
}

// arrival is when a webhook came, and when its event was written.
type arrival struct{ at, event time.Time }

func listenForHooks(ctx context.Context) (*hooksEndpoint, error) {
	e := &hooksEndpoint{arrived: map[string]arrival{}}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e.url = "http://" + l.Addr().String()
	e.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		var event struct {
			ResourceInstance string
			Time             time.Time
		}
		if json.NewDecoder(r.Body).Decode(&event) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if _, before := e.arrived[event.ResourceInstance]; before {
			e.twice++
			return
		}
		e.arrived[event.ResourceInstance] = arrival{at, event.Time}
	})}
	go func() { _ = e.server.Serve(l) }() // until close
	return e, nil
}

func (e *hooksEndpoint) close() { _ = e.server.Close() }

func (e *hooksEndpoint) repeats() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.twice
}

// subscribe tells the broker of the endpoint, and waits until it has been validated.
func (e *hooksEndpoint) subscribe(ctx context.Context, b *broker, by *organisation) error {
	events := &organisation{party: by.party, base: b.base + "/events/api/v1", token: by.token}
	var made struct{ ID int64 }
	wish := map[string]any{"endPoint": e.url, "typeFilter": "no.altinn.broker.published"}
	if err := events.call(ctx, http.MethodPost, "/subscriptions", wish, &made); err != nil {
		return err
	}
	return until(ctx, hooksLate, "the endpoint is validated", func(ctx context.Context) error {
		var now struct{ Validated bool }
		err := events.call(ctx, http.MethodGet, fmt.Sprintf("/subscriptions/%d", made.ID), nil, &now)
		if err == nil && !now.Validated {
			err = errors.New("it is not yet")
		}
		return err
	})
}

// waits is how long each transfer's webhook took since the last byte, and since its event was written, when all have come.
func (e *hooksEndpoint) waits(ctx context.Context, sent map[string]time.Time) (waits, own sample, err error) {
	err = until(ctx, hooksLate, "every webhook has come", func(context.Context) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		waits, own = waits[:0], own[:0]
		for id, at := range sent {
			if a, ok := e.arrived[id]; ok {
				waits, own = append(waits, millis(a.at.Sub(at))), append(own, millis(a.at.Sub(a.event)))
			}
		}
		if len(waits) < len(sent) {
			return fmt.Errorf("%d of %d have", len(waits), len(sent))
		}
		return nil
	})
	return waits, own, err
}
