package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/receipts"
)

const (
	receiptRepeats      = 2000
	receiptSignTarget   = 150 // µs
	receiptVerifyTarget = 300 // µs
	inclusionTarget     = 20  // ms, p95: a few tiles from disk
	sealTarget          = 500 // ms, p95: tiles flushed to disk, and the checkpoint
	sealedAtOnce        = 100
	sealRounds          = 20
)

// receipted measures one receipt, and the log when it is as large as asked for.
func receipted(ctx context.Context, l *lab) (result, error) {
	keys, err := receipts.MakeKeys(filepath.Join(l.tmp, "receipt-keys.json"))
	if err != nil {
		return result{}, err
	}
	signed, verified, size, err := signAndVerify(keys)
	if err != nil {
		return result{}, err
	}
	tiles, err := objects.Connect(ctx, filepath.Join(l.tmp, "log"), objects.Options{})
	if err != nil {
		return result{}, err
	}
	leaves := &countedLeaves{}
	log := &receipts.Log{Leaves: leaves, Tiles: tiles, Keys: keys, Name: "https://bench.example"}
	l.say("growing a log of %d leaves", l.leaves)
	began := time.Now()
	leaves.size = int64(l.leaves)
	if err := log.SealFor(ctx, l.partDeadline); err != nil {
		return result{}, err
	}
	grown := time.Since(began)
	sealed, err := sealMore(ctx, log, leaves)
	if err != nil {
		return result{}, err
	}
	proved, grew, err := proveSome(ctx, log, leaves.size)
	if err != nil {
		return result{}, err
	}
	t := table{title: "one receipt, µs", columns: []string{"", "p50", "p95"}}
	t.add("sign", signed.quantile(0.5), signed.quantile(0.95))
	t.add("verify", verified.quantile(0.5), verified.quantile(0.95))
	u := table{title: fmt.Sprintf("a log of %d leaves, tiles on local disk; ms", l.leaves), columns: []string{"", "p50", "p95"}}
	u.add("inclusion proof", proved.quantile(0.5), proved.quantile(0.95))
	u.add("consistency proof", grew.quantile(0.5), grew.quantile(0.95))
	u.add(fmt.Sprintf("%d more leaves, tiles and checkpoint", sealedAtOnce), sealed.quantile(0.5), sealed.quantile(0.95))
	return result{
		Tables: []table{t, u},
		Notes:  []string{fmt.Sprintf("a receipt has %d bytes; the log grew to its size at %.0f leaves/s", size, float64(l.leaves)/grown.Seconds())},
		Targets: []target{
			atMost("sign a receipt, p50", signed.quantile(0.5), receiptSignTarget, "µs"),
			atMost("verify a receipt, p50", verified.quantile(0.5), receiptVerifyTarget, "µs"),
			atMost(fmt.Sprintf("inclusion proof among %d leaves, p95", l.leaves), proved.quantile(0.95), inclusionTarget, "ms"),
			atMost(fmt.Sprintf("seal %d leaves and sign the checkpoint, p95", sealedAtOnce), sealed.quantile(0.95), sealTarget, "ms"),
		},
	}, nil
}

func signAndVerify(keys *receipts.Keys) (signed, verified sample, size int, err error) {
	r := models.Receipt{
		ID: uuid.New(), Issuer: "https://bench.example", Event: models.ReceiptHandedOver, Transfer: uuid.New(), Service: "bench",
		Sender: "0192:310000027", Recipient: "0192:310000035", Seq: 5, Prev: models.ReceiptHash("x"),
		Actor:  &models.ReceiptActor{Organisation: "0192:310000035", Login: models.LoginCertificate, Thumbprint: models.ReceiptHash("y")[:43]},
		File:   &models.ReceiptFile{Size: 1 << 30, SHA256: models.ReceiptHash("z"), MD5: models.ReceiptHash("z")[:32]},
		Served: &models.ReceiptServed{Downloads: 1, Bytes: 1 << 30, Whole: true},
	}
	for range receiptRepeats {
		began := time.Now()
		jws, err := keys.Sign(r)
		if err != nil {
			return nil, nil, 0, err
		}
		signed = append(signed, micros(time.Since(began)))
		began = time.Now()
		if _, err := receipts.Open(keys.KeySet(), jws); err != nil {
			return nil, nil, 0, err
		}
		verified = append(verified, micros(time.Since(began)))
		size = len(jws)
	}
	return signed, verified, size, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func sealMore(ctx context.Context, log *receipts.Log, leaves *countedLeaves) (sealed sample, err error) {
	for range sealRounds {
		leaves.size += sealedAtOnce
		began := time.Now()
		if _, err := log.Seal(ctx); err != nil {
			return nil, err
		}
		sealed = append(sealed, millis(time.Since(began)))
	}
	return sealed, nil
}

func proveSome(ctx context.Context, log *receipts.Log, size int64) (proved, grew sample, err error) {
	const proofs = 200
	for n := range int64(proofs) {
		at := n * (size - 1) / proofs
		began := time.Now()
		if _, _, err := log.Inclusion(ctx, at); err != nil {
			return nil, nil, err
		}
		proved = append(proved, millis(time.Since(began)))
		began = time.Now()
		if _, _, err := log.Consistency(ctx, at+1); err != nil {
			return nil, nil, err
		}
		grew = append(grew, millis(time.Since(began)))
	}
	return proved, grew, nil
}

// countedLeaves is a log's order without a database: what is measured is the tree.
type countedLeaves struct {
	size   int64
	latest models.LogCheckpoint
}

// AssignLeaves implements receipts.Leaves.
func (c *countedLeaves) AssignLeaves(context.Context, int) (int, error) { return 0, nil }

// Leaves implements receipts.Leaves.
func (c *countedLeaves) Leaves(_ context.Context, from int64, limit int) ([]models.LogLeaf, error) {
	out := make([]models.LogLeaf, 0, limit)
	for i := from; i < c.size && len(out) < limit; i++ {
		out = append(out, models.LogLeaf{Index: i, Kind: models.LeafReceipt, Subject: "bench", Seq: i, Hash: fmt.Sprintf("%064x", i)})
	}
	return out, nil
}

// LatestCheckpoint implements receipts.Leaves.
func (c *countedLeaves) LatestCheckpoint(context.Context) (models.LogCheckpoint, error) {
	return c.latest, nil
}

// InsertCheckpoint implements receipts.Leaves.
func (c *countedLeaves) InsertCheckpoint(_ context.Context, at models.LogCheckpoint) error {
	c.latest = at
	return nil
}
