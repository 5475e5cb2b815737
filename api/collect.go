package api

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/models"
)

// CollectEvery is how often abandoned uploads are worth looking for.
const CollectEvery = bytepath.LeaseTime

// Abandoned lists and ends uploads that lost their process before they had a transfer.
type Abandoned interface {
	AbandonedUploads(ctx context.Context, limit int) ([]models.UploadAttempt, error)
	EndUpload(ctx context.Context, attempt uuid.UUID) error
}

// Leftovers deletes what is stored under a prefix.
type Leftovers interface {
	DeleteAll(ctx context.Context, prefix string) error
}

// CollectAbandoned deletes the bytes of abandoned uploads. Only the form upload can leave any, when its
// process dies between the file and the metadata: whatever belongs to a transfer is the workflow's to
// clean up. Safe to run in every replica.
func CollectAbandoned(ctx context.Context, a Abandoned, l Leftovers) error {
	const batch = 100
	found, err := a.AbandonedUploads(ctx, batch)
	errs := []error{err}
	for _, attempt := range found {
		err := l.DeleteAll(ctx, attempt.ObjectKey)
		if err == nil {
			err = a.EndUpload(ctx, attempt.ID)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
