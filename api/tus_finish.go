package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// finishTus sees to it that the content of a complete upload is published, and waits for it a while. Whoever asks next,
// at whatever replica, goes on where somebody was cut off.
func (s *Server) finishTus(ctx context.Context, v models.TransferView, u models.TusUpload, by models.Caller) error {
	if v.ContentKey == models.AttemptKey(v.ID, u.ID) {
		return nil
	}
	f := s.tusFinishing.begin(u.ID, func() error { return s.publishTus(context.WithoutCancel(ctx), u, by) })
	wait := s.FinishWait
	if wait == 0 {
		wait = lateTus
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-f.done:
		return f.err
	case <-late.C:
		return nil // the transfer says UploadProcessing
	}
}

// publishTime is for how long one process tries at a stretch: with a file of any size it gets somewhere in that time, and
// how far its hashes are is kept.
const publishTime = time.Hour

// assembleAtOnce is of how many uploads this process makes objects at once.
const assembleAtOnce = 16

// publishTus makes one object of an upload's segments, stages it and tells the workflow. Safe to repeat, and to do at
// several replicas at once.
func (s *Server) publishTus(ctx context.Context, u models.TusUpload, by models.Caller) error {
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	if done, err := s.publishedTus(ctx, u); done || err != nil {
		return err
	}
	content, err := s.wholeTus(ctx, u)
	if err == nil {
		err = s.Resumables.HoldTus(ctx, u.ID, leaseTime)
	}
	if err == nil {
		err = s.Uploads.StageContent(ctx, u.TransferID, u.ID, content, by)
	}
	if err != nil {
		// another replica may have come first, and taken away what this one needed
		if done, again := s.publishedTus(ctx, u); done {
			return again
		}
		s.giveUpTus(ctx, u, err)
		return err
	}
	return s.tellTus(ctx, u)
}

// tellTus tells the workflow of an upload that is staged. Once it has decided, the segments are of no use.
func (s *Server) tellTus(ctx context.Context, u models.TusUpload) error {
	_, err := s.Transfers.ContentReceived(ctx, u.TransferID, u.ID)
	if e, refused := models.AsError(err); err == nil || refused && !e.Retryable() {
		s.dropTus(ctx, u)
	}
	return err
}

// publishedTus tells the workflow of an upload that is staged already. done is false when nothing is staged.
func (s *Server) publishedTus(ctx context.Context, u models.TusUpload) (done bool, err error) {
	staged, err := s.Uploads.StagedAttempt(ctx, u.TransferID, "")
	switch {
	case err != nil || staged == nil:
		return false, err
	case *staged != u.ID:
		s.rejectTus(ctx, u)
		return true, models.ErrAlreadyUploaded
	}
	return true, s.tellTus(ctx, u)
}

// giveUpTus gives an upload up that no later try could publish either.
func (s *Server) giveUpTus(ctx context.Context, u models.TusUpload, err error) {
	if e, known := models.AsError(err); known && !e.Retryable() {
		s.rejectTus(ctx, u)
	}
}

// wholeTus makes one object of an upload's segments, which may be gone afterwards. It holds what the segments were, and
// hashes to what they did.
func (s *Server) wholeTus(ctx context.Context, u models.TusUpload) (models.Content, error) {
	hashes, from := u.Hashes(), []uuid.UUID{u.ID}
	if len(u.Joins) > 0 {
		from = u.Joins
		var err error
		if hashes, err = s.hashParts(ctx, u); err != nil {
			return models.Content{}, err
		}
	}
	c, err := s.assembleTus(ctx, u, from)
	if err == nil {
		c.SHA256, c.MD5, err = hashes.Sums()
	}
	if err == nil && len(u.Joins) == 0 && c.CRC32C != u.CRC32C {
		err = fmt.Errorf("assemble %s: the segments have CRC32C %08x, and should have %08x", u.ID, c.CRC32C, u.CRC32C)
	}
	return c, err
}

func (s *Server) assembleTus(ctx context.Context, u models.TusUpload, from []uuid.UUID) (models.Content, error) {
	segments, err := s.Resumables.TusSegments(ctx, from...)
	shared := ""
	size := int64(0)
	for _, s := range segments {
		size += s.Size
	}
	if err == nil && size != u.Received {
		err = fmt.Errorf("assemble %s: the segments have %d bytes, and should have %d", u.ID, size, u.Received)
	}
	if err == nil && len(u.Joins) > 0 {
		shared, err = s.sharedBy(ctx, u)
	}
	if err == nil {
		err = s.tusAssembling.Acquire(ctx, 1)
	}
	if err != nil {
		return models.Content{}, err
	}
	defer s.tusAssembling.Release(1)
	return s.Drafts.Assemble(ctx, models.TusAssembly{
		Key: models.AttemptKey(u.TransferID, u.ID), Segments: segments, Shared: shared,
		Generation: u.Completed.UnixNano(), // the same for whoever assembles it
	})
}

// sharedBy is the key of the object that the first part of a final upload may share with the others.
func (s *Server) sharedBy(ctx context.Context, u models.TusUpload) (string, error) {
	parts, err := s.partsOf(ctx, u)
	if err != nil || len(parts) == 0 || parts[0].Share == nil {
		return "", err
	}
	return models.TusSharedKey(u.TransferID, *parts[0].Share), nil
}

// rejectTus gives up an upload whose content is not taken, and deletes the object once nobody can stage it.
func (s *Server) rejectTus(ctx context.Context, u models.TusUpload) {
	err := s.Resumables.RejectTus(ctx, u.ID)
	if err == nil {
		err = s.Contents.DeleteAll(ctx, models.AttemptKey(u.TransferID, u.ID))
	}
	if err != nil {
		s.Log.WarnContext(ctx, "upload not rejected yet", "upload", u.ID, "error", err.Error())
		return
	}
	s.dropTus(ctx, u)
}

// dropTus deletes the segments of an upload and of the parts that it joined. What it cannot delete goes with the transfer.
func (s *Server) dropTus(ctx context.Context, u models.TusUpload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	all := append([]uuid.UUID{u.ID}, u.Joins...)
	errs := []error{s.Resumables.ForgetTusSegments(ctx, all...)}
	for _, id := range all {
		errs = append(errs, s.Contents.DeleteAll(ctx, models.TusPrefix(u.TransferID, id)))
	}
	shares, err := s.Resumables.SpentTusShares(ctx, u.TransferID)
	for _, share := range shares {
		errs = append(errs, s.Contents.DeleteAll(ctx, models.TusSharedPrefix(u.TransferID, share)))
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		s.Log.WarnContext(ctx, "segments not deleted yet", "upload", u.ID, "error", err.Error())
	}
}

// finishing is what this process does once for all who wait for it, by what it is done to: an upload that is published,
// or a transfer whose parts are hashed.
type finishing struct {
	mu sync.Mutex
	by map[uuid.UUID]*finish
}

// over is closed when what is being done now has been; nil, on which nobody is woken, when nothing is.
func (f *finishing) over(of uuid.UUID) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if running := f.by[of]; running != nil {
		return running.done
	}
	return nil
}

type finish struct {
	done chan struct{}
	err  error // valid once done is closed
}

func (f *finishing) begin(of uuid.UUID, do func() error) *finish {
	f.mu.Lock()
	defer f.mu.Unlock()
	if running := f.by[of]; running != nil {
		return running
	}
	if f.by == nil {
		f.by = map[uuid.UUID]*finish{}
	}
	one := &finish{done: make(chan struct{})}
	f.by[of] = one
	go func() {
		one.err = do()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.by, of)
		close(one.done)
	}()
	return one
}
