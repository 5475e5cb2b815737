package models

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// What may be done with an upload in several requests.

// GiveWay decides what becomes of an open upload when another one is asked for. same: it is what is asked for, so it is
// the answer. ErrAlreadyUploaded when all of its bytes came, because what is opened again may have others; ErrUploadOpen
// when it has some. Else the open one is ended and the new one takes its place.
func (u TusUpload) GiveWay(to TusUpload, now time.Time) (same bool, err error) {
	switch {
	case u.Completed != nil && len(u.Joins) > 0 && slices.Equal(u.Joins, to.Joins):
		return true, nil
	case u.Completed != nil:
		return false, ErrAlreadyUploaded
	case u.Live(now) && len(to.Joins) == 0 && sameLength(u.Length, to.Length) && u.Metadata == to.Metadata:
		return true, nil
	case u.Live(now) && u.Received > 0:
		return false, ErrUploadOpen
	}
	return false, nil
}

func sameLength(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// GrowthRefusal says why an upload that may not grow may not: ErrUploadGone when it was given up or is too old,
// ErrUploadOffset when it stands elsewhere, else ErrAlreadyUploaded: it is whole, is being joined, or its transfer awaits
// no content. Whether it may, one condition in the database decides.
func (u TusUpload) GrowthRefusal(offset int64, now time.Time) error {
	switch {
	case u.Ended != nil, u.Completed == nil && !now.Before(u.Expires):
		return ErrUploadGone
	case u.Received != offset:
		return ErrUploadOffset
	}
	return ErrAlreadyUploaded
}

// WriterRefusal says why a commit by the writer of an epoch did not count: ErrUploadTaken when another request writes
// now, else GrowthRefusal.
func (u TusUpload) WriterRefusal(epoch, offset int64, now time.Time) error {
	if u.Epoch != epoch && u.Ended == nil {
		return ErrUploadTaken
	}
	return u.GrowthRefusal(offset, now)
}

// MayWrite tells whether the writer of an epoch still is the one: ErrUploadGone, then ErrUploadTaken. whole tells that
// the upload is complete, so that the writer has nothing to fear any more.
func (u TusUpload) MayWrite(epoch int64) (whole bool, err error) {
	switch {
	case u.Ended != nil:
		return false, ErrUploadGone
	case u.Epoch != epoch:
		return false, ErrUploadTaken
	}
	return u.Completed != nil, nil
}

// MayEnd tells whether the sender may give the upload up: ErrAlreadyUploaded when all of its bytes came and it is no
// part. Then it is no longer its sender's to take back, but the transfer is, by cancelling.
func (u TusUpload) MayEnd() error {
	if u.Completed != nil && !u.Part {
		return ErrAlreadyUploaded
	}
	return nil
}

// MayJoin tells whether an upload may be joined as a part: ErrUploadGone, then ErrPartIncomplete, each of which names it.
func (u TusUpload) MayJoin(now time.Time) error {
	switch {
	case !u.Live(now):
		return ErrUploadGone.Because("It is the part %s.", u.ID)
	case u.Completed == nil:
		return ErrPartIncomplete.Because("It is %s.", u.ID)
	}
	return nil
}

// MayLosePart tells whether a part may go: ErrAlreadyUploaded while one of the transfer's open final uploads joins it.
// The status is the stored one; once content was accepted or the transfer has ended, nothing depends on parts.
func MayLosePart(stored TransferStatus, part uuid.UUID, finals []TusUpload) error {
	if MayUpload(stored) != nil {
		return nil
	}
	for _, f := range finals {
		if slices.Contains(f.Joins, part) {
			return ErrAlreadyUploaded
		}
	}
	return nil
}
