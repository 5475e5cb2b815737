package tus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// How long somebody who hashes parts is believed in without a word, and how often others ask.
const (
	digestLease = 10 * time.Second
	digestAsk   = 500 * time.Millisecond
)

// hashAtOnce is of how many transfers this process hashes the parts at once, each of which keeps a processor busy.
const hashAtOnce = 4

// hashAhead hashes the parts of a transfer in the order in which they were opened, while others still come: most likely
// they are joined in that order. It goes as far as bytes are durable without a gap, from where the requests
// that bring parts have hashed them. When this process has enough to do, it is left for later.
func (t *Handler) hashAhead(ctx context.Context, transfer uuid.UUID) {
	ctx = context.WithoutCancel(ctx)
	t.ahead.DoChan(transfer.String(), func() (any, error) {
		if !t.hashing.TryAcquire(1) {
			return nil, nil
		}
		defer t.hashing.Release(1)
		parts := func() ([]models.TusUpload, error) { return t.partsInRow(ctx, transfer) }
		if ready, err := parts(); err != nil || len(ready) == 0 {
			return nil, err
		}
		_, held, err := t.hashOn(ctx, transfer, parts)
		if err != nil && held && !errors.Is(err, models.ErrUploadTaken) {
			t.Log.WarnContext(ctx, "parts not hashed yet", "transfer", transfer, "error", err.Error())
		}
		return nil, err
	})
}

// partsInRow are the parts that are complete and have no other before them, and the one after those as far as it has come.
func (t *Handler) partsInRow(ctx context.Context, transfer uuid.UUID) ([]models.TusUpload, error) {
	parts, err := t.Resumables.TusParts(ctx, transfer)
	parts = slices.DeleteFunc(parts, func(u models.TusUpload) bool { return u.Completed == nil && !u.Counts(t.Now()) })
	switch end := slices.IndexFunc(parts, func(u models.TusUpload) bool { return u.Completed == nil }); end {
	case -1:
		return parts, err
	case 0:
		return nil, err
	default:
		return parts[:end+1], err
	}
}

// hashParts returns the hashes of a final upload, of which it waits for the part that is still to be done.
func (t *Handler) hashParts(ctx context.Context, u models.TusUpload) (models.HashState, error) {
	for {
		if err := t.hashing.Acquire(ctx, 1); err != nil {
			return models.HashState{}, err
		}
		d, held, err := t.hashOn(ctx, u.TransferID, func() ([]models.TusUpload, error) { return t.partsOf(ctx, u) })
		t.hashing.Release(1)
		if err != nil && !errors.Is(err, models.ErrUploadTaken) {
			return models.HashState{}, err
		}
		if held && err == nil {
			return models.HashState{SHA256: d.SHA256State, MD5: d.MD5State, NoMD5: u.NoMD5}, nil
		}
		if err := t.awaitHashes(ctx, u.TransferID); err != nil {
			return models.HashState{}, err
		}
	}
}

// awaitHashes waits until the parts of a transfer may be hashed further: until this process, if it hashes them now, has
// done so, else for as long as it makes sense not to ask what another replica does. Hashing that would begin just as this
// looks whether any runs is left to who waits here.
func (t *Handler) awaitHashes(ctx context.Context, transfer uuid.UUID) error {
	again := time.NewTimer(digestAsk)
	defer again.Stop()
	ahead := t.ahead.DoChan(transfer.String(), func() (any, error) { return nil, nil })
	for {
		select {
		case done := <-ahead:
			if done.Shared { // with who hashed
				return nil
			}
			ahead = nil // nobody here does
		case <-again.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *Handler) partsOf(ctx context.Context, u models.TusUpload) ([]models.TusUpload, error) {
	all, err := t.Resumables.TusParts(ctx, u.TransferID)
	if err != nil {
		return nil, err
	}
	out := make([]models.TusUpload, 0, len(u.Joins))
	for _, id := range u.Joins {
		i := slices.IndexFunc(all, func(p models.TusUpload) bool { return p.ID == id })
		if i < 0 {
			return nil, models.ErrUploadGone.Because("It is the part %s.", id)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// hashOn hashes what parts says, as long as it says more, unless somebody else does so now: then held is false.
// How far it is survives this process.
func (t *Handler) hashOn(ctx context.Context, transfer uuid.UUID, parts func() ([]models.TusUpload, error)) (d models.TusDigest, held bool, err error) {
	if d, held, err = t.Resumables.HoldDigest(ctx, transfer, digestLease); err != nil || !held {
		return d, held, err
	}
	for err == nil {
		var wanted []models.TusUpload
		if wanted, err = parts(); err != nil {
			break
		}
		planned := planDigest(&d, wanted)
		if d.Hashed == planned {
			break
		}
		var segments []models.TusSegment
		if segments, err = t.Resumables.TusSegments(ctx, d.Parts...); err != nil {
			break
		}
		err = t.Drafts.Digest(ctx, segments, d.Hashed, models.HashState{SHA256: d.SHA256State, MD5: d.MD5State, NoMD5: wanted[0].NoMD5}, func(at int64, h models.HashState) error {
			d.Hashed, d.SHA256State, d.MD5State = at, h.SHA256, h.MD5
			return t.Resumables.SaveDigest(ctx, d, digestLease)
		})
		if err == nil && d.Hashed < planned { // more may have come since
			err = fmt.Errorf("hash parts of %s: %d of %d bytes are there", transfer, d.Hashed, planned)
		}
	}
	if let := t.Resumables.SaveDigest(ctx, d, 0); err == nil {
		err = let
	}
	return d, held, err
}

// planDigest has a digest cover these parts, keeping what is hashed of them, and returns how many bytes they have.
func planDigest(d *models.TusDigest, parts []models.TusUpload) (planned int64) {
	ids := make([]uuid.UUID, len(parts))
	common := int64(0) // bytes of the parts that both begin with
	same := true
	for i, p := range parts {
		ids[i] = p.ID
		if same = same && i < len(d.Parts) && d.Parts[i] == p.ID; same {
			common += p.Received
		}
		planned += p.Received
	}
	if d.Hashed > common {
		d.Hashed, d.SHA256State, d.MD5State = 0, []byte{}, []byte{}
	}
	d.Parts = ids
	at := int64(0)
	for _, p := range parts { // as far as they lie as they were opened, what requests hashed that brought them is right
		if at > 0 && (p.Place == nil || *p.Place != at) || at == 0 && p.Number > 1 && (p.Place == nil || *p.Place > 0) {
			break
		}
		at += p.Received
		if h, held := p.HashesSoFar(); held && at > d.Hashed {
			d.Hashed, d.SHA256State, d.MD5State = at, h.SHA256, h.MD5
		}
		if p.Completed == nil {
			break
		}
	}
	return planned
}
