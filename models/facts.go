package models

import "time"

// Facts is what the data plane says about a transfer that has no content yet.
type Facts struct {
	UploadStarted *time.Time // of the first attempt
	Staged        *time.Time // of the first staged content
	Received      *time.Time // of the last byte of an upload in several requests that is not staged yet
}

// Effective is the status that parties see of a transfer, and since when: the stored one, or what the facts say of one
// that is stored as Initialized.
func (f Facts) Effective(stored TransferStatus, since time.Time) (TransferStatus, time.Time) {
	switch {
	case stored != TransferInitialized:
		return stored, since
	case f.Staged != nil:
		return TransferUploadProcessing, *f.Staged
	case f.Received != nil:
		return TransferUploadProcessing, *f.Received
	case f.UploadStarted != nil:
		return TransferUploadStarted, *f.UploadStarted
	}
	return stored, since
}
