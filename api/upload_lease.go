package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/models"
)

// leaseRenewal is how often an upload is heard of.
const leaseRenewal = bytepath.LeaseTime / 4

// lease is a running upload attempt: while it lives, its content can be staged.
type lease struct {
	s      *Server
	id     uuid.UUID
	object string
}

// begin records an attempt and keeps its lease. transfer is nil when the file came before its transfer.
func (s *Server) begin(ctx context.Context, transfer *uuid.UUID, a attempt) (*lease, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make attempt id: %w", err)
	}
	l := &lease{s: s, id: id, object: models.AttemptKey(a.transfer, id)}
	row := models.UploadAttempt{ID: id, TransferID: transfer, Party: a.by.Party, ObjectKey: l.object, Actor: models.NewReceiptActor(a.by)}
	if a.key != "" {
		row.IdempotencyKey = &a.key
	}
	if err := s.Uploads.BeginUpload(ctx, row, bytepath.LeaseTime); err != nil {
		return nil, err
	}
	return l, nil
}

// put stores the body under the attempt's own key, renewing the lease meanwhile. After a failure the caller
// discards the attempt, and the transfer awaits content as before.
func (l *lease) put(ctx context.Context, body io.Reader, limit int64, without ...models.Hash) (models.Content, error) {
	held, lose := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.renew(held, lose)
	}()
	content, err := l.s.Contents.Put(held, l.object, body, limit, without...)
	lost := context.Cause(held)
	lose(nil)
	<-done
	if err != nil {
		return models.Content{}, uploadError(err, lost)
	}
	return content, nil
}

// discard gives an attempt up: it removes what is stored under prefix, and only then ends the attempt. As long
// as that has not succeeded, somebody else finds the leftovers when the lease has run out.
func (l *lease) discard(ctx context.Context, prefix string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bytepath.CleanUpTime)
	defer cancel()
	err := l.s.Contents.DeleteAll(ctx, prefix)
	if err == nil {
		err = l.s.Uploads.EndUpload(ctx, l.id)
	}
	if err != nil {
		l.s.Log.WarnContext(ctx, "upload attempt not discarded yet", "attempt", l.id, "error", err.Error())
	}
}

// renew keeps the lease until ctx ends, and ends ctx when the lease is lost.
func (l *lease) renew(ctx context.Context, lose context.CancelCauseFunc) {
	tick := time.NewTicker(leaseRenewal)
	defer tick.Stop()
	until := time.Now().Add(bytepath.LeaseTime)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		switch err := l.s.Uploads.RenewLease(ctx, l.id, bytepath.LeaseTime); {
		case err == nil:
			until = asked.Add(bytepath.LeaseTime)
		case errors.Is(err, models.ErrLeaseLost):
			lose(err)
			return
		case time.Now().After(until): // one failure is no loss: the lease holds for several renewals
			lose(models.ErrLeaseLost)
			return
		}
	}
}

// uploadError says what ended an upload: a known refusal, the client, or we.
func uploadError(err, cause error) error {
	var size *http.MaxBytesError
	switch _, known := models.AsError(err); {
	case errors.Is(cause, models.ErrLeaseLost):
		return cause
	case known:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", models.ErrStalled, err)
	case errors.As(err, &size):
		return models.ErrFileTooLarge.Exceeded(size.Limit, size.Limit+1)
	case errors.Is(err, bytepath.ErrBody):
		return fmt.Errorf("%w: %w", models.ErrUploadIncomplete, err)
	}
	return fmt.Errorf("%w: %w", models.ErrUploadFailed, err)
}
