package models

import (
	"fmt"
	"strings"
)

// TransferStatus is the state of a whole file transfer. Names and numbers are the
// Altinn's (docs/reference/altinn-broker.md 2.1); clients see the names, the database keeps the numbers.
type TransferStatus int16

// The statuses of a transfer.
const (
	TransferInitialized            TransferStatus = 0
	TransferUploadStarted          TransferStatus = 1
	TransferUploadProcessing       TransferStatus = 2
	TransferPublished              TransferStatus = 3
	TransferCancelled              TransferStatus = 4
	TransferAllConfirmedDownloaded TransferStatus = 5
	TransferPurged                 TransferStatus = 6
	TransferFailed                 TransferStatus = 7
)

// RecipientStatus is how far one recipient has come with a transfer (docs/reference/altinn-broker.md 2.1).
type RecipientStatus int16

// The statuses of a recipient.
const (
	RecipientInitialized       RecipientStatus = 0
	RecipientDownloadStarted   RecipientStatus = 1
	RecipientDownloadConfirmed RecipientStatus = 2
)

// Author says who brings a transition about (docs/architecture.md, "one author").
type Author string

// The two authors. A transition by AuthorFact is not written to the transfer's row by anyone: it is what
// readers conclude from a fact of the data plane (an upload attempt, staged bytes, a download).
const (
	AuthorWorkflow Author = "workflow"
	AuthorFact     Author = "fact"
)

// TransferTransition is one allowed step in the life of a transfer.
type TransferTransition struct {
	From, To TransferStatus
	By       Author
	When     string
}

// TransferTransitions is every step that a transfer may take; there are no others.
// docs/states.md is rendered from it.
var TransferTransitions = []TransferTransition{
	{TransferInitialized, TransferUploadStarted, AuthorFact, "an upload attempt begins"},
	{TransferInitialized, TransferCancelled, AuthorWorkflow, "the sender cancels"},
	{TransferInitialized, TransferFailed, AuthorWorkflow, "the upload deadline passes"},
	{TransferUploadStarted, TransferUploadProcessing, AuthorFact, "all bytes are durable"},
	{TransferUploadStarted, TransferCancelled, AuthorWorkflow, "the sender cancels"},
	{TransferUploadStarted, TransferFailed, AuthorWorkflow, "the upload deadline passes with no upload under way"},
	{TransferUploadProcessing, TransferPublished, AuthorWorkflow, "size and checksums agree; the file is delivered"},
	{TransferUploadProcessing, TransferFailed, AuthorWorkflow, "size or a checksum differs"},
	{TransferUploadProcessing, TransferCancelled, AuthorWorkflow, "the sender cancels"},
	{TransferPublished, TransferAllConfirmedDownloaded, AuthorWorkflow, "the last recipient confirms"},
	{TransferPublished, TransferCancelled, AuthorWorkflow, "the sender cancels before the first download"},
	{TransferPublished, TransferPurged, AuthorWorkflow, "the transfer expires"},
	{TransferAllConfirmedDownloaded, TransferPurged, AuthorWorkflow, "the grace period ends, or the transfer expires"},
}

// RecipientTransition is one allowed step of a recipient.
type RecipientTransition struct {
	From, To RecipientStatus
	By       Author
	When     string
}

// RecipientTransitions is every step that a recipient may take; there are no others, so a download after
// the confirmation changes nothing.
var RecipientTransitions = []RecipientTransition{
	{RecipientInitialized, RecipientDownloadStarted, AuthorFact, "a download begins"},
	{RecipientDownloadStarted, RecipientDownloadConfirmed, AuthorWorkflow, "the recipient confirms"},
}

// MayTransition tells whether a transfer may go from one status to another.
func MayTransition(from, to TransferStatus) bool {
	for _, m := range TransferTransitions {
		if m.From == from && m.To == to {
			return true
		}
	}
	return false
}

// Ended tells that nothing can happen to the transfer any more.
func (s TransferStatus) Ended() bool {
	for _, m := range TransferTransitions {
		if m.From == s {
			return false
		}
	}
	return true
}

// Downloadable tells that recipients may fetch the file (docs/reference/altinn-broker.md 1.3: download, check 7).
func (s TransferStatus) Downloadable() bool {
	return s == TransferPublished || s == TransferAllConfirmedDownloaded
}

// AwaitsContent tells that an upload may begin (docs/reference/altinn-broker.md 1.3: upload, check 4).
func (s TransferStatus) AwaitsContent() bool {
	return s == TransferInitialized || s == TransferUploadStarted
}

var transferStatusNames = []string{
	"Initialized", "UploadStarted", "UploadProcessing", "Published", "Cancelled",
	"AllConfirmedDownloaded", "Purged", "Failed",
}

var transferStatusTexts = []string{
	"Ready for upload", "Upload started", "Processing upload", "Ready for download", "FileTransfer cancelled",
	"All downloaded", "FileTransfer has been purged", "Upload failed",
}

var recipientStatusNames = []string{"Initialized", "DownloadStarted", "DownloadConfirmed"}

var recipientStatusTexts = []string{
	"Initialized", "Recipient has attempted to download fileTransfer", "Recipient has downloaded fileTransfer",
}

// String returns the name that clients see.
func (s TransferStatus) String() string { return nameOf(int(s), transferStatusNames) }

// Text returns the default text of the status (docs/reference/altinn-broker.md 1.3, overview).
func (s TransferStatus) Text() string { return nameOf(int(s), transferStatusTexts) }

// String returns the name that clients see.
func (s RecipientStatus) String() string { return nameOf(int(s), recipientStatusNames) }

// Text returns the text of the status (docs/reference/altinn-broker.md 1.3, overview).
func (s RecipientStatus) Text() string { return nameOf(int(s), recipientStatusTexts) }

// ParseTransferStatus reads a name in any case, as ASP.NET does.
func ParseTransferStatus(name string) (TransferStatus, error) {
	n, err := indexOf(name, transferStatusNames)
	return TransferStatus(n), err
}

// ParseRecipientStatus reads a name in any case, as ASP.NET does.
func ParseRecipientStatus(name string) (RecipientStatus, error) {
	n, err := indexOf(name, recipientStatusNames)
	return RecipientStatus(n), err
}

func nameOf(n int, names []string) string {
	if n < 0 || n >= len(names) {
		return fmt.Sprintf("unknown status %d", n)
	}
	return names[n]
}

func indexOf(name string, names []string) (int16, error) {
	for i, n := range names {
		if strings.EqualFold(n, name) {
			return int16(i), nil
		}
	}
	return 0, fmt.Errorf("parse status: %q is not one of %s", name, strings.Join(names, ", "))
}
