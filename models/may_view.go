package models

import (
	"time"

	"github.com/google/uuid"
)

// What a party may do with the transfer that it sees. These are the questions of the handlers; what changes at the same
// moment, the store decides by the same rules (may.go).

// MayActAsSender is ErrNoAccess for who does not act as the sender.
func (v TransferView) MayActAsSender(p Party) error {
	if v.SentBy(p) {
		return nil
	}
	return ErrNoAccess
}

// MayDownload tells whether a party may fetch the file: ErrNoAccess for who does not act as a recipient, then MayDownload.
func (v TransferView) MayDownload(p Party) error {
	if _, recipient := v.RecipientFor(p); !recipient {
		return ErrNoAccess
	}
	return MayDownload(v.Status)
}

// MayConfirm tells whether a party may confirm, and returns it as the recipient that it is. again tells that it has
// confirmed before, which it may say for ever. ErrNoAccess for who does not act as a recipient, ErrNoFileYet when no
// content was ever accepted, then MayConfirm.
func (v TransferView) MayConfirm(p Party) (r RecipientView, again bool, err error) {
	r, recipient := v.RecipientFor(p)
	switch {
	case !recipient:
		return r, false, ErrNoAccess
	case r.Confirmed != nil:
		return r, true, nil
	case v.ContentKey == "":
		return r, false, ErrNoFileYet
	}
	return r, false, MayConfirm(v.Status, r.FirstAccess != nil)
}

// MayCancel tells whether a party may ask for the transfer's end. again tells that it is cancelled already. ErrNoAccess
// for who does not act as the sender, ErrNotCancellable when it has ended otherwise; what is not over yet the workflow
// judges, after the right of who asks was looked at.
func (v TransferView) MayCancel(p Party) (again bool, err error) {
	switch {
	case !v.SentBy(p):
		return false, ErrNoAccess
	case v.Status == TransferCancelled:
		return true, nil
	case v.Status.Ended():
		return false, MayCancel(v.Status, false)
	}
	return false, nil
}

// MayAcknowledge tells whether a party may say what it made of the transfer: its sender at any time, others once there
// was a file, else ErrNotPublished.
func (v TransferView) MayAcknowledge(p Party) error {
	if v.SentBy(p) || v.Published != nil {
		return nil
	}
	return ErrNotPublished
}

// MayOpenUpload tells whether an upload in several requests, or a part of one, may be opened: ErrAlreadyUploaded once the
// transfer awaits none. One that is no part may be asked for again until its content is accepted, because who did
// not hear that it is complete asks so.
func (v TransferView) MayOpenUpload(part bool) error {
	if !part && v.Status == TransferInitialized {
		return nil
	}
	return MayUpload(v.EffectiveStatus)
}

// MayJoinParts tells whether parts may be made the content: ErrAlreadyUploaded once all bytes of an upload have come.
func (v TransferView) MayJoinParts() error { return MayStage(v.Status, v.Staged != nil) }

// MayResume tells whether an upload in several requests can still be spoken of: a fault of its content when the transfer
// failed of that, ErrAlreadyUploaded when the transfer has other content, ErrUploadGone when the upload or the
// transfer is over.
func (v TransferView) MayResume(u TusUpload, now time.Time) error {
	own := v.ContentKey != "" && v.ContentKey == AttemptKey(v.ID, u.ID)
	switch {
	case own && v.Status != TransferCancelled:
		return nil
	case v.Status == TransferFailed && u.Completed != nil && !u.Part && IsContentFault(v.StatusText):
		return ContentFault(v.StatusText)
	case v.Status != TransferInitialized && v.ContentKey != "" && !u.Part:
		return ErrAlreadyUploaded
	case v.Status != TransferInitialized, !u.Live(now):
		return ErrUploadGone
	}
	return nil
}

// UploadedBefore is the answer to an upload of a transfer that awaits none, when this attempt was staged. offer tells that
// its content must be offered to the workflow, which answers then. With a key the second upload is the first one asked
// again and hears what became of it; without, ErrAlreadyUploaded however it went.
func (v TransferView) UploadedBefore(staged uuid.UUID, keyed bool) (offer bool, err error) {
	s := v.EffectiveStatus
	switch {
	case v.ContentKey != "" && v.ContentKey != AttemptKey(v.ID, staged):
		return false, ErrAlreadyUploaded
	case s == TransferUploadProcessing:
		return true, nil
	case s == TransferFailed && keyed:
		return false, ContentFault(v.StatusText)
	case !s.Downloadable() && s != TransferPurged, !keyed:
		return false, ErrAlreadyUploaded
	}
	return false, nil
}
