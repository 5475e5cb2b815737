package tus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/models"
)

// finish sees to it that the content of a complete upload is published, and waits for it a while. Whoever asks next,
// at whatever replica, goes on where somebody was cut off.
func (t *Handler) finish(ctx context.Context, v models.TransferView, u models.TusUpload, by models.Caller) error {
	if v.ContentKey == models.AttemptKey(v.ID, u.ID) {
		return nil
	}
	published := t.publishing.DoChan(u.ID.String(), func() (any, error) {
		return nil, t.publish(context.WithoutCancel(ctx), u, by)
	})
	late := time.NewTimer(cmp.Or(t.FinishWait, finishWait))
	defer late.Stop()
	select {
	case done := <-published:
		return done.Err
	case <-late.C:
		return nil // the transfer says UploadProcessing
	}
}

// publishTime is for how long one process tries at a stretch: with a file of any size it gets somewhere in that time, and
// how far its hashes are is kept.
const publishTime = time.Hour

// assembleAtOnce is of how many uploads this process makes objects at once.
const assembleAtOnce = 16

// publish makes one object of an upload's segments, stages it and tells the workflow. Safe to repeat, and to do at
// several replicas at once.
func (t *Handler) publish(ctx context.Context, u models.TusUpload, by models.Caller) error {
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	if done, err := t.published(ctx, u); done || err != nil {
		return err
	}
	content, err := t.whole(ctx, u)
	if err == nil {
		err = t.Resumables.HoldTus(ctx, u.ID, bytepath.LeaseTime)
	}
	if err == nil {
		err = t.Staging.StageContent(ctx, u.TransferID, u.ID, content, by)
	}
	if err != nil {
		// another replica may have come first, and taken away what this one needed
		if done, again := t.published(ctx, u); done {
			return again
		}
		t.giveUp(ctx, u, err)
		return err
	}
	return t.notify(ctx, u)
}

// notify tells the workflow of an upload that is staged. Once it has decided, the segments are of no use.
func (t *Handler) notify(ctx context.Context, u models.TusUpload) error {
	_, err := t.Transfers.ContentReceived(ctx, u.TransferID, u.ID)
	if e, refused := models.AsError(err); err == nil || refused && !e.Retryable() {
		t.drop(ctx, u)
	}
	return err
}

// published tells the workflow of an upload that is staged already. done is false when nothing is staged.
func (t *Handler) published(ctx context.Context, u models.TusUpload) (done bool, err error) {
	staged, err := t.Staging.StagedAttempt(ctx, u.TransferID, "")
	switch {
	case err != nil || staged == nil:
		return false, err
	case *staged != u.ID:
		t.reject(ctx, u)
		return true, models.ErrAlreadyUploaded
	}
	return true, t.notify(ctx, u)
}

// giveUp gives an upload up that no later try could publish either.
func (t *Handler) giveUp(ctx context.Context, u models.TusUpload, err error) {
	if e, known := models.AsError(err); known && !e.Retryable() {
		t.reject(ctx, u)
	}
}

// whole makes one object of an upload's segments, which may be gone afterwards. It holds what the segments were, and
// hashes to what they did.
func (t *Handler) whole(ctx context.Context, u models.TusUpload) (models.Content, error) {
	hashes, from := u.Hashes(), []uuid.UUID{u.ID}
	if len(u.Joins) > 0 {
		from = u.Joins
		var err error
		if hashes, err = t.hashParts(ctx, u); err != nil {
			return models.Content{}, err
		}
	}
	c, err := t.assemble(ctx, u, from)
	if err == nil {
		c.SHA256, c.MD5, err = hashes.Sums()
	}
	if err == nil && len(u.Joins) == 0 && c.CRC32C != u.CRC32C {
		err = fmt.Errorf("assemble %s: the segments have CRC32C %08x, and should have %08x", u.ID, c.CRC32C, u.CRC32C)
	}
	return c, err
}

func (t *Handler) assemble(ctx context.Context, u models.TusUpload, from []uuid.UUID) (models.Content, error) {
	segments, err := t.Resumables.TusSegments(ctx, from...)
	shared := ""
	size := int64(0)
	for _, one := range segments {
		size += one.Size
	}
	if err == nil && size != u.Received {
		err = fmt.Errorf("assemble %s: the segments have %d bytes, and should have %d", u.ID, size, u.Received)
	}
	if err == nil && len(u.Joins) > 0 {
		shared, err = t.sharedBy(ctx, u)
	}
	if err == nil {
		err = t.assembling.Acquire(ctx, 1)
	}
	if err != nil {
		return models.Content{}, err
	}
	defer t.assembling.Release(1)
	return t.Drafts.Assemble(ctx, models.TusAssembly{
		Key: models.AttemptKey(u.TransferID, u.ID), Segments: segments, Shared: shared,
		Generation: u.Completed.UnixNano(), // the same for whoever assembles it
	})
}

// sharedBy is the key of the object that the first part of a final upload may share with the others.
func (t *Handler) sharedBy(ctx context.Context, u models.TusUpload) (string, error) {
	parts, err := t.partsOf(ctx, u)
	if err != nil || len(parts) == 0 || parts[0].Share == nil {
		return "", err
	}
	return models.TusSharedKey(u.TransferID, *parts[0].Share), nil
}

// reject gives up an upload whose content is not taken, and deletes the object once nobody can stage it.
func (t *Handler) reject(ctx context.Context, u models.TusUpload) {
	err := t.Resumables.RejectTus(ctx, u.ID)
	if err == nil {
		err = t.Contents.DeleteAll(ctx, models.AttemptKey(u.TransferID, u.ID))
	}
	if err != nil {
		t.Log.WarnContext(ctx, "upload not rejected yet", "upload", u.ID, "error", err.Error())
		return
	}
	t.drop(ctx, u)
}

// drop deletes the segments of an upload and of the parts that it joined. What it cannot delete goes with the transfer.
func (t *Handler) drop(ctx context.Context, u models.TusUpload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bytepath.CleanUpTime)
	defer cancel()
	all := append([]uuid.UUID{u.ID}, u.Joins...)
	errs := []error{t.Resumables.ForgetTusSegments(ctx, all...)}
	for _, id := range all {
		errs = append(errs, t.Contents.DeleteAll(ctx, models.TusPrefix(u.TransferID, id)))
	}
	shares, err := t.Resumables.SpentTusShares(ctx, u.TransferID)
	for _, share := range shares {
		errs = append(errs, t.Contents.DeleteAll(ctx, models.TusSharedPrefix(u.TransferID, share)))
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Log.WarnContext(ctx, "segments not deleted yet", "upload", u.ID, "error", err.Error())
	}
}
