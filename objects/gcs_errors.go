package objects

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/formidling/formidling/models"
)

// gcsError gives failures of Cloud Storage the code that a caller may see. ctx is the caller's context, without our own
// limits: once it has ended, the caller gets its own reason back. Errors that have a code keep it.
func gcsError(ctx context.Context, err error) error {
	if _, known := models.AsError(err); known || err == nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	var answer *googleapi.Error
	switch {
	case errors.Is(err, storage.ErrBucketNotExist):
		return fmt.Errorf("%w: %w", models.ErrUnavailable, err)
	case errors.Is(err, storage.ErrObjectNotExist):
		return fmt.Errorf("%w: %w", models.ErrObjectNotFound, err)
	case !errors.As(err, &answer), answer.Code == http.StatusRequestTimeout, answer.Code == http.StatusTooManyRequests, answer.Code >= 500:
		return fmt.Errorf("%w: %w", models.ErrUnavailable, err) // the network, a limit of ours, or a fault of theirs
	case answer.Code == http.StatusNotFound:
		return fmt.Errorf("%w: %w", models.ErrObjectNotFound, err)
	case answer.Code == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", models.ErrObjectExists, err)
	default:
		return err // a refusal: wrong rights, a hold, a request that makes no sense
	}
}

// bucketError is gcsError for creates and listings. They do not look for an object, so not found can only mean the
// bucket, or something that changed meanwhile.
func bucketError(ctx context.Context, err error) error {
	if err = gcsError(ctx, err); errors.Is(err, models.ErrObjectNotFound) {
		return fmt.Errorf("%w: bucket or object is gone", models.ErrUnavailable)
	}
	return err
}

// worthRetrying reports whether sending again may help: if the client's own rule says so, if a try ran into its time
// limit, or if bytes were damaged on their way.
func worthRetrying(err error) bool {
	return storage.ShouldRetry(err) || errors.Is(err, context.DeadlineExceeded) || damaged(err)
}

// damaged reports whether storage refused an object as invalid. All our requests have the same form, so the reason can
// only be that the bytes do not have the checksum that was declared.
func damaged(err error) bool {
	var answer *googleapi.Error
	return errors.As(err, &answer) && answer.Code == http.StatusBadRequest
}
