package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/models"
)

const (
	fanoutFile    = 1 << 20
	fanoutClients = 16 // recipients that download and confirm at once
)

// fanout sends one file to many recipients, all of which then fetch and confirm it.
func fanout(ctx context.Context, l *lab) (result, error) {
	b, err := l.startBroker(ctx, "fanout", "")
	if err != nil {
		return result{}, err
	}
	defer b.stop()
	var to []models.Party
	for n := 330_000_000; len(to) < l.recipients; n++ { // rights are written for numbers with a right check digit only
		if number := fmt.Sprint(n); models.ValidNorwegianNumber(number) {
			to = append(to, models.Norwegian(number))
		}
	}
	l.say("fan-out: rights for %d recipients", len(to))
	if err := b.allowAll(ctx, serviceLater, to); err != nil {
		return result{}, err
	}
	l.say("fan-out: one file to %d recipients", len(to))
	r, err := l.fanoutOnce(ctx, b, to)
	return r, err
}

// allowAll lets many organisations receive.
func (b *broker) allowAll(ctx context.Context, service string, to []models.Party) error {
	owner, err := b.as(ownerParty)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, p := range to {
		group.Go(func() error { return owner.allow(ctx, service, p, false, true) })
	}
	return group.Wait()
}

func (l *lab) fanoutOnce(ctx context.Context, b *broker, to []models.Party) (result, error) {
	var r result
	c, err := b.dial(ctx)
	if err != nil {
		return r, err
	}
	defer c.Close()
	sender, err := b.as(senderParty)
	if err != nil {
		return r, err
	}
	began := time.Now()
	id, err := sender.initialize(ctx, serviceLater, to...)
	if err != nil {
		return r, err
	}
	initialized := time.Since(began)
	last := &lastByte{from: &body{left: fanoutFile}}
	if err := sender.upload(ctx, id, last, fanoutFile); err != nil {
		return r, err
	}
	answered := time.Since(last.at)
	delivered, err := b.delivered(ctx, sender, id, len(to))
	if err != nil {
		return r, err
	}
	afterDelivery, err := fanoutEvents(ctx, c, id, len(to))
	if err != nil {
		return r, err
	}
	copies := b.files(id)
	l.say("fan-out: %d downloads and confirmations", len(to))
	took, confirms, err := b.confirmAll(ctx, id, to)
	if err != nil {
		return r, err
	}
	afterConfirmation, err := fanoutEvents(ctx, c, id, len(to))
	t := table{title: fmt.Sprintf("one file of %s to %d recipients", formatSize(fanoutFile), len(to)), columns: []string{"", "figure", "unit"}}
	t.add("initialize answered", initialized.Seconds(), "s")
	t.add("last byte → upload answered (every recipient may download)", answered.Seconds(), "s")
	t.add("last byte → seen by the sender as published", delivered.Sub(last.at).Seconds(), "s")
	t.add("stored copies", copies, "")
	t.add("events of the transfer and its groups when delivered", afterDelivery, "")
	t.add(fmt.Sprintf("all download and confirm, %d at once", fanoutClients), took.Seconds(), "s")
	t.add("one confirmation, p50", confirms.quantile(0.5), "ms")
	t.add("one confirmation, p99", confirms.quantile(0.99), "ms")
	t.add("events when all have confirmed", afterConfirmation, "")
	r.Tables = []table{t}
	r.Targets = []target{
		atMost(fmt.Sprintf("last byte → delivered to %d", len(to)), answered.Seconds(), 5, "s"),
		atMost("stored copies", float64(copies), 1, ""),
		atMost("events of the fan-out when all have confirmed", float64(afterConfirmation), 5000, ""),
	}
	return r, err
}

// delivered checks in the sender's view that nobody was left out, and says when.
func (b *broker) delivered(ctx context.Context, sender *organisation, id string, want int) (time.Time, error) {
	var seen struct {
		FileTransferStatus string
		Recipients         []struct{ Recipient string }
	}
	if err := sender.call(ctx, http.MethodGet, "/filetransfer/"+id, nil, &seen); err != nil {
		return time.Time{}, err
	}
	if seen.FileTransferStatus != models.TransferPublished.String() || len(seen.Recipients) != want {
		return time.Time{}, fmt.Errorf("%s is %s for %d recipients, not %d", id, seen.FileTransferStatus, len(seen.Recipients), want)
	}
	return time.Now(), nil
}

// fanoutEvents counts the events of a transfer and of its delivery groups.
func fanoutEvents(ctx context.Context, c client.Client, id string, recipients int) (int, error) {
	total, err := events(ctx, c, "transfer/"+id)
	for n := 1; n <= models.Groups(recipients) && err == nil; n++ {
		var of int
		of, err = events(ctx, c, fmt.Sprintf("transfer/%s/group/%d", id, n))
		total += of
	}
	return total, err
}

// confirmAll lets every recipient download and confirm.
func (b *broker) confirmAll(ctx context.Context, id string, to []models.Party) (time.Duration, sample, error) {
	confirms := make(sample, len(to))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fanoutClients)
	began := time.Now()
	for i, p := range to {
		group.Go(func() error {
			recipient, err := b.as(p)
			if err == nil {
				err = recipient.download(ctx, id, fanoutFile)
			}
			from := time.Now()
			if err == nil {
				err = recipient.confirm(ctx, id)
			}
			confirms[i] = millis(time.Since(from))
			return err
		})
	}
	err := group.Wait()
	return time.Since(began), confirms, err
}

// lastByte notes when the last byte of a body was taken.
type lastByte struct {
	from *body
	at   time.Time
}

// Read implements io.Reader.
func (l *lastByte) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	if n > 0 {
		l.at = time.Now()
	}
	return n, err
}
