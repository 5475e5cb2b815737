package activities

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// VerifyContentInput names staged content.
type VerifyContentInput struct{ Transfer, Attempt uuid.UUID }

// VerifyContentResult is the verdict; Fault is empty when the content is what it should be.
type VerifyContentResult struct {
	Fault string // becomes the status text
	Size  int64  // bytes
}

// VerifyContent compares the staged content with what the sender declared and with what storage reports.
// Safe to repeat: it only reads. Refuses with models.ErrNoFileYet when nothing is staged.
func (a *Activities) VerifyContent(ctx context.Context, in VerifyContentInput) (VerifyContentResult, error) {
	t, c, err := a.uploads.Staged(ctx, in.Transfer, in.Attempt)
	if err != nil {
		return VerifyContentResult{}, Refusal(err)
	}
	stored, err := a.contents.Stat(ctx, c.Key)
	if err != nil && !errors.Is(err, models.ErrObjectNotFound) {
		return VerifyContentResult{}, err
	}
	return VerifyContentResult{Fault: faultOf(t, c, stored, err == nil), Size: c.Size}, nil
}

func faultOf(t models.Transfer, c models.Content, stored models.StoredObject, present bool) string {
	switch {
	case !present, stored.Size != c.Size, stored.Generation != c.Generation,
		stored.CRC32C != nil && *stored.CRC32C != c.CRC32C:
		return models.FaultStored
	case c.Size > t.MaxFileSize:
		return models.FaultSize
	case t.DeclaredMD5 != "" && t.DeclaredMD5 != c.MD5,
		t.DeclaredSHA256 != "" && t.DeclaredSHA256 != c.SHA256:
		return models.FaultChecksum
	}
	return ""
}
