package models

// The rules of a life: what may be done with a transfer, and which error says that it may not. Each stands here once.
// A handler asks it of what it read, so that a refusal is cheap; a workflow's validator asks it of the status that it
// knows; the store asks it of the locked row, which decides.
//
// A status is the one that parties see (Facts.Effective) where both are at hand. A rule that wants the stored one, or
// means the same of both, says so.

// CheckTransition is ErrMovedOn when TransferTransitions has no such step.
func CheckTransition(from, to TransferStatus) error {
	if MayTransition(from, to) {
		return nil
	}
	return ErrMovedOn.Because("It is %s and cannot become %s.", from, to)
}

// MayUpload tells whether an upload may begin, or go on: ErrAlreadyUploaded once all bytes of one have come, or the
// transfer has ended. Of the stored status it lets pass while no content is accepted, which is enough for a lease.
func MayUpload(s TransferStatus) error {
	if s.AwaitsContent() {
		return nil
	}
	return ErrAlreadyUploaded
}

// MayStage tells whether durable bytes may become the one content of a transfer: ErrAlreadyUploaded when others were
// staged first, because two must not both be told that theirs is the file. The status is the stored one.
func MayStage(stored TransferStatus, staged bool) error {
	if staged {
		return ErrAlreadyUploaded
	}
	return MayUpload(stored)
}

// MayOffer tells whether the staged content of an attempt may be offered to the transfer's workflow: ErrAlreadyUploaded
// once some content was accepted, or the transfer has ended. It means the same of the stored status.
func MayOffer(s TransferStatus) error {
	if s.AwaitsContent() || s == TransferUploadProcessing {
		return nil
	}
	return ErrAlreadyUploaded
}

// MayDeliver tells whether content may be made visible to recipients: of a transfer that has none yet, which it
// publishes, or of one that has this very content and has not ended; else ErrAlreadyUploaded. The key is AttemptKey's.
func MayDeliver(t Transfer, key string) error {
	switch {
	case MayOffer(t.Status) == nil:
		return nil
	case t.Status.Downloadable() && t.ContentKey == key:
		return nil
	}
	return ErrAlreadyUploaded
}

// MayDownload tells whether recipients may fetch the file: else ErrNotReadyForDownload.
func MayDownload(s TransferStatus) error {
	if s.Downloadable() {
		return nil
	}
	return ErrNotReadyForDownload
}

// MayConfirm tells whether a recipient that has not confirmed may do so: ErrNotPublished before the file is there and
// after it has gone, ErrNotDownloaded before its first download. Who cannot know of downloads, as a workflow, says
// that there was one and leaves it to the store. Who confirmed before may say so again, for ever.
func MayConfirm(s TransferStatus, downloaded bool) error {
	switch {
	case s != TransferPublished:
		return ErrNotPublished
	case !downloaded:
		return ErrNotDownloaded
	}
	return nil
}

// MayCancel tells whether the sender may take the transfer back: ErrNotCancellable from the first download on, whoever
// began it, and when the transfer has ended. Who cannot know of downloads says that there was none and leaves it to
// the store. Cancelling again what is cancelled is no question of this rule: it changes nothing.
func MayCancel(s TransferStatus, downloaded bool) error {
	if downloaded || !MayTransition(s, TransferCancelled) {
		return ErrNotCancellable
	}
	return nil
}

// MayPurge tells whether the file may go because its time is over: else ErrMovedOn.
func MayPurge(s TransferStatus) error { return CheckTransition(s, TransferPurged) }

// MayRemind tells whether anybody can be waited for: ErrNotPublished before the file is there and once all have confirmed
// or the transfer has ended.
func MayRemind(s TransferStatus) error { return MayConfirm(s, true) }

// MayDiscard tells whether the deletion of content is to be told as a step of its own: of what was cancelled or failed.
// Else ErrMovedOn; the purge of a file tells of it itself.
func MayDiscard(s TransferStatus) error {
	if s == TransferCancelled || s == TransferFailed {
		return nil
	}
	return ErrMovedOn.Because("It is %s, and keeps its content or has told of its end.", s)
}
