package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/formidling/formidling/receipts"
	"github.com/formidling/formidling/workflows"
)

// openReceiptKeys reads the keys that sign receipts; run and demo make them at the first time.
func (p *parts) openReceiptKeys(ctx context.Context, demo bool) (err error) {
	switch file := p.config.ReceiptKeys; {
	case file != "" && !demo && !p.config.publicURLGiven:
		return errors.New("FORMIDLING_PUBLIC_URL: must be set, at workers too, because receipts carry it")
	case file != "":
		p.receipts, err = receipts.OpenKeys(file)
	case demo:
		p.receipts, err = receipts.MakeKeys(filepath.Join(p.config.Data, "receipt-keys.json"))
	default:
		p.log.WarnContext(ctx, "FORMIDLING_RECEIPT_KEYS is empty: receipts are written down, and wait for keys to sign them")
	}
	if p.receipts != nil && p.receipts.InMemory() {
		p.store.SignAtOnce(p.receiptIssuer().Sign)
	}
	return err
}

func (p *parts) receiptIssuer() *receipts.Issuer {
	return &receipts.Issuer{Chains: p.store, Keys: p.receipts, Name: p.config.PublicURL, Log: p.log, Left: p.store.LeftUnsigned}
}

func (p *parts) receiptLog() *receipts.Log {
	return &receipts.Log{Leaves: p.store, Tiles: p.objects, Keys: p.receipts, Name: p.config.PublicURL}
}

func (p *parts) evidence() *receipts.Evidence {
	return &receipts.Evidence{
		Bundler: receipts.Bundler{Archive: p.store, Log: p.receiptLog(), Keys: p.receipts, Name: p.config.PublicURL, Now: p.now},
		Finder:  p.store,
	}
}

// keepReceiptLog starts the log's workflow, and looks again every minute: somebody may have ended it.
func (p *parts) keepReceiptLog(ctx context.Context) {
	door := workflows.NewClient(p.temporal)
	keep(ctx, time.Minute, 5*time.Second, func(ctx context.Context) error {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		err := door.KeepReceiptLog(attempt, p.config.LogInterval)
		if err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "log of receipts not started; trying again", "error", err.Error())
		}
		return err
	})
}

// keep starts what shall run until ctx ends: at every interval when that went well, and sooner when it did not.
func keep(ctx context.Context, every, again time.Duration, start func(context.Context) error) {
	for {
		wait := every
		if start(ctx) != nil {
			wait = again
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
