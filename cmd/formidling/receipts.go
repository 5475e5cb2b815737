package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/formidling/formidling/receipts"
	"github.com/formidling/formidling/worker"
	"github.com/formidling/formidling/workflows"
)

// openReceiptKeys reads the keys that sign receipts; run and demo make them the first time.
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
	if p.receipts != nil {
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

// keepReceiptLog has the log sealed whenever there is something to seal, until ctx ends.
func (p *parts) keepReceiptLog(ctx context.Context) {
	worker.Sealer{
		Due: p.store, Signs: p.receipts != nil, Schedule: workflows.NewClient(p.temporal), Every: p.config.LogInterval, Log: p.log,
	}.Run(ctx)
}
