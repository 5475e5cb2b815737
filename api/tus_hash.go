package api

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
func (s *Server) hashAhead(ctx context.Context, transfer uuid.UUID) {
	ctx = context.WithoutCancel(ctx)
	s.tusAhead.begin(transfer, func() error {
		if !s.tusHashing.TryAcquire(1) {
			return nil
		}
		defer s.tusHashing.Release(1)
		parts := func() ([]models.TusUpload, error) { return s.partsInRow(ctx, transfer) }
		if ready, err := parts(); err != nil || len(ready) == 0 {
			return err
		}
		_, held, err := s.hashOn(ctx, transfer, parts)
		if err != nil && held && !errors.Is(err, models.ErrUploadTaken) {
			s.Log.WarnContext(ctx, "parts not hashed yet", "transfer", transfer, "error", err.Error())
		}
		return err
	})
}

// partsInRow are the parts that are complete and have no other before them, and the one after those as far as it has come.
func (s *Server) partsInRow(ctx context.Context, transfer uuid.UUID) ([]models.TusUpload, error) {
	parts, err := s.Resumables.TusParts(ctx, transfer)
	parts = slices.DeleteFunc(parts, func(u models.TusUpload) bool { return u.Completed == nil && !u.Counts(s.now()) })
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
func (s *Server) hashParts(ctx context.Context, u models.TusUpload) (models.HashState, error) {
	for {
		if err := s.tusHashing.Acquire(ctx, 1); err != nil {
			return models.HashState{}, err
		}
		d, held, err := s.hashOn(ctx, u.TransferID, func() ([]models.TusUpload, error) { return s.partsOf(ctx, u) })
		s.tusHashing.Release(1)
		if err != nil && !errors.Is(err, models.ErrUploadTaken) {
			return models.HashState{}, err
		}
		if held && err == nil {
			return models.HashState{SHA256: d.SHA256State, MD5: d.MD5State, NoMD5: u.NoMD5}, nil
		}
		select {
		case <-s.tusAhead.over(u.TransferID): // in this process
		case <-time.After(digestAsk):
		case <-ctx.Done():
			return models.HashState{}, ctx.Err()
		}
	}
}

func (s *Server) partsOf(ctx context.Context, u models.TusUpload) ([]models.TusUpload, error) {
	all, err := s.Resumables.TusParts(ctx, u.TransferID)
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
func (s *Server) hashOn(ctx context.Context, transfer uuid.UUID, parts func() ([]models.TusUpload, error)) (d models.TusDigest, held bool, err error) {
	if d, held, err = s.Resumables.HoldDigest(ctx, transfer, digestLease); err != nil || !held {
		return d, held, err
	}
	for err == nil {
		var wanted []models.TusUpload
		if wanted, err = parts(); err != nil {
			break
		}
		goal := aim(&d, wanted)
		if d.Hashed == goal {
			break
		}
		var segments []models.TusSegment
		if segments, err = s.Resumables.TusSegments(ctx, d.Parts...); err != nil {
			break
		}
		err = s.Drafts.Digest(ctx, segments, d.Hashed, models.HashState{SHA256: d.SHA256State, MD5: d.MD5State, NoMD5: wanted[0].NoMD5}, func(at int64, h models.HashState) error {
			d.Hashed, d.SHA256State, d.MD5State = at, h.SHA256, h.MD5
			return s.Resumables.SaveDigest(ctx, d, digestLease)
		})
		if err == nil && d.Hashed < goal { // more may have come since
			err = fmt.Errorf("hash parts of %s: %d of %d bytes are there", transfer, d.Hashed, goal)
		}
	}
	if let := s.Resumables.SaveDigest(ctx, d, 0); err == nil {
		err = let
	}
	return d, held, err
}

// aim turns a digest to parts, keeping what it has of them, and returns how many bytes they have.
func aim(d *models.TusDigest, parts []models.TusUpload) (goal int64) {
	ids := make([]uuid.UUID, len(parts))
	common := int64(0) // bytes of the parts that both begin with
	same := true
	for i, p := range parts {
		ids[i] = p.ID
		if same = same && i < len(d.Parts) && d.Parts[i] == p.ID; same {
			common += p.Received
		}
		goal += p.Received
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
	return goal
}
