package activities

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// FindUploadInput names the transfer whose upload deadline has come.
type FindUploadInput struct{ Transfer uuid.UUID }

// FindUploadResult tells what became of its uploads.
type FindUploadResult struct {
	Staged       *uuid.UUID // an attempt whose bytes are durable
	RunningUntil time.Time  // zero when no upload runs
}

// FindUpload looks for content that the API stored but could not tell the workflow of.
// Safe to repeat: it only reads.
func (a *Activities) FindUpload(ctx context.Context, in FindUploadInput) (FindUploadResult, error) {
	staged, until, err := a.uploads.UploadFacts(ctx, in.Transfer)
	return FindUploadResult{staged, until}, Refusal(err)
}
