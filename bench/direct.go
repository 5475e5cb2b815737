package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/store"
)

// directServer is the broker without Temporal: the same API, rights, store, objects and activities,
// called one after the other in the request. It guarantees nothing after a crash; it is there so that
// the time of the real broker less its time is what Temporal costs, and nothing else.
func directServer(args []string) error {
	dir := args[0]
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the caller is ourselves
		return err
	}
	ctx := context.Background()
	s, err := store.Open("sqlite:"+filepath.Join(dir, "formidling.db"), store.Options{})
	if err != nil {
		return err
	}
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	o, err := objects.Connect(ctx, filepath.Join(dir, "objects"), objects.Options{})
	if err != nil {
		return err
	}
	issuer, err := identity.OpenDevIssuer(dir, time.Now)
	if err != nil {
		return err
	}
	verifier, err := identity.NewVerifier(time.Now, issuer.Issuer())
	if err != nil {
		return err
	}
	door := &direct{store: s, steps: activities.New(s, s, o, 24*time.Hour)}
	handler, err := api.New(api.Ports{
		Authenticator: verifier, Transfers: door, Views: s, Uploads: s, Downloads: s, Services: s, Rights: s, Registry: s, Contents: o,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), // as much as the real one writes
	}, api.Settings{MaxRecipients: 10_000, UploadSlots: 64, Environment: "bench"}).Handler()
	if err != nil {
		return err
	}
	return servePeer(handler)
}

// direct implements api.Transfers by doing at once what a workflow would have done.
type direct struct {
	store *store.Store
	steps *activities.Activities
}

// Ready implements api.Transfers.
func (*direct) Ready(context.Context) error { return nil }

// Initialize implements api.Transfers. The activity would ask Temporal for its run.
func (d *direct) Initialize(ctx context.Context, s models.Submission) (bool, error) {
	a, err := d.store.AcceptTransfer(ctx, s, s.ID.String(), 24*time.Hour)
	return a.Duplicate, err
}

// ContentReceived implements api.Transfers.
func (d *direct) ContentReceived(ctx context.Context, transfer, attempt uuid.UUID) (models.TransferStatus, error) {
	found, err := d.steps.VerifyContent(ctx, activities.VerifyContentInput{Transfer: transfer, Attempt: attempt})
	if err == nil && found.Fault != "" {
		err = fmt.Errorf("verify content: %s", found.Fault)
	}
	if err == nil {
		err = d.steps.Deliver(ctx, activities.DeliverInput{Transfer: transfer, Attempt: attempt})
	}
	return models.TransferPublished, err
}

// Confirm implements api.Transfers.
func (d *direct) Confirm(ctx context.Context, transfer uuid.UUID, _ int, party models.Party) error {
	_, err := d.steps.RecordConfirmation(ctx, activities.RecordConfirmationInput{Transfer: transfer, Party: party})
	return err
}

// Cancel implements api.Transfers; nothing is cancelled here.
func (*direct) Cancel(context.Context, uuid.UUID) error { return errors.ErrUnsupported }
