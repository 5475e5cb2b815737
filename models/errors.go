package models

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an Error is; api/web/problem.go turns it into an HTTP status.
type Kind int

// The kinds of failure. Their order is of no meaning; they are never stored.
const (
	KindInternal          Kind = iota // a fault of ours: no text of it leaves the process
	KindInvalid                       // the request breaks a rule; Fields names where
	KindUnauthorized                  // the credential does not carry the right
	KindForbidden                     // known caller, not allowed in this state or scope
	KindNotFound                      // unknown to this caller
	KindConflict                      // the state does not allow it
	KindRange                         // byte range outside the file
	KindMismatchedContent             // what the caller says of the content is not so
	KindMismatchedKey                 // an Idempotency-Key was used before with another request
	KindUnavailable                   // something we need is down: the same request may succeed later
	KindStorageFull                   // no room for the bytes
	KindTimeout                       // the caller stood still for too long
	KindTooLarge                      // a request larger than the operation takes
	KindMediaType                     // a request in another form than the operation takes
	KindNoCondition                   // something would be changed without a condition on what is there
	KindCondition                     // what is there is not what the caller's condition says
	KindTooMany                       // the caller has as many of these under way as it may
	KindChecksum                      // bytes are not what the checksum beside them says
	KindGone                          // it was there, and is no more
	KindVersion                       // another version of the protocol than the one spoken here
)

// FieldError names one field of a request and what is wrong with it.
type FieldError struct {
	Field   string
	Message string
}

// Error is a failure that may be shown to a caller. The same code is used at three borders:
// as this Go value, as the type of a Temporal application error and as `code` of a problem document.
// Codes beginning with BRO are those of the Altinn 3 Broker (reference 1.2), FMD are ours.
type Error struct {
	Kind    Kind
	Code    string
	Message string
	Fields  []FieldError
	Limit   *int64 // set with Actual when a limit was exceeded, in bytes or entries
	Actual  *int64
}

// Error implements error with code and message only.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Is makes errors.Is compare by code, so a copy with details still matches its catalogue entry.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Retryable tells whether the same request may succeed later without a change.
func (e *Error) Retryable() bool {
	return e.Kind == KindUnavailable || e.Kind == KindStorageFull || e.Kind == KindTooMany
}

// Exceeded returns a copy of e that tells the limit and the value that exceeded it.
func (e *Error) Exceeded(limit, actual int64) *Error {
	c := *e
	c.Limit, c.Actual = &limit, &actual
	return &c
}

// Because returns a copy of e with more detail after its message.
func (e *Error) Because(format string, args ...any) *Error {
	c := *e
	c.Message = e.Message + " " + fmt.Sprintf(format, args...)
	return &c
}

// Invalid returns the error for requests that break a rule of a field; nil when fields is empty.
func Invalid(fields []FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Kind: KindInvalid, Code: codeInvalid, Message: "One or more validation errors occurred.", Fields: fields}
}

// InvalidField returns the error for one broken field.
func InvalidField(field, message string) error {
	return Invalid([]FieldError{{Field: field, Message: message}})
}

// AsError finds the Error in a chain.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

const codeInvalid = "FMD-00001"

// The catalogue. Codes, messages and kinds of BRO entries are the reference's (section 1.2).
var (
	ErrTransferNotFound      = &Error{Kind: KindNotFound, Code: "BRO-00001", Message: "The requested file transfer was not found"}
	ErrNoFileYet             = &Error{Kind: KindInvalid, Code: "BRO-00003", Message: "No file uploaded yet"}
	ErrAlreadyUploaded       = &Error{Kind: KindConflict, Code: "BRO-00004", Message: "A file transfer has already been, or attempted to be, created. Create a new file transfer resource to try again."}
	ErrNoAccess              = &Error{Kind: KindUnauthorized, Code: "BRO-00006", Message: "You must use a bearer token that represents a system user with access to the resource in the Resource Rights Registry"}
	ErrNotReadyForDownload   = &Error{Kind: KindForbidden, Code: "BRO-00007", Message: "The requested file transfer's file is not ready for download. See file transfer status."}
	ErrUploadFailed          = &Error{Kind: KindInternal, Code: "BRO-00008", Message: "Error occurred while uploading file See /details for more information."}
	ErrChecksumMismatch      = &Error{Kind: KindInvalid, Code: "BRO-00009", Message: "The checksum of uploaded file did not match the checksum specified in initialize call."}
	ErrNotPublished          = &Error{Kind: KindInvalid, Code: "BRO-00010", Message: "A file transfer can only be confirmed to be downloaded when it is published. See file transfer status."}
	ErrMaxSizeNegative       = &Error{Kind: KindInvalid, Code: "BRO-00011", Message: "Max file transfer size cannot be negative"}
	ErrMaxSizeZero           = &Error{Kind: KindInvalid, Code: "BRO-00012", Message: "Max file transfer size cannot be zero"}
	ErrTTLFormat             = &Error{Kind: KindInvalid, Code: "BRO-00014", Message: "Invalid file transfer time to live format. Should follow ISO8601 standard for duration. Example: 'P30D' for 30 days."}
	ErrTTLTooLong            = &Error{Kind: KindInvalid, Code: "BRO-00015", Message: "Time to live cannot exceed 365 days"}
	ErrFileTooLarge          = &Error{Kind: KindInvalid, Code: "BRO-00016", Message: "File size exceeds maximum"}
	ErrGraceFormat           = &Error{Kind: KindInvalid, Code: "BRO-00017", Message: "Invalid grace period format. Should follow ISO8601 standard for duration. Example: 'PT2H' for 2 hours."}
	ErrGraceTooLong          = &Error{Kind: KindInvalid, Code: "BRO-00018", Message: "Grace period cannot exceed 24 hours"}
	ErrNotDownloaded         = &Error{Kind: KindInvalid, Code: "BRO-00019", Message: "Cannot confirm before the files have been downloaded"}
	ErrMaxSizeTooLarge       = &Error{Kind: KindInvalid, Code: "BRO-00022", Message: "Max file transfer size cannot be set higher than 100GB in production because it has not yet been tested for it. Contact us @ Slack if you need it."}
	ErrManifestShimCodes     = &Error{Kind: KindInvalid, Code: "BRO-00023", Message: "In order to use manifest file shim you need to provide external service code and edition code"}
	ErrOwnerNotConfigured    = &Error{Kind: KindInvalid, Code: "BRO-00024", Message: "The service owner associated with the resource has not been configured."}
	ErrResourceNotConfigured = &Error{Kind: KindInvalid, Code: "BRO-00025", Message: "The resource has not been configured."}
	ErrRequiredPartyAbsent   = &Error{Kind: KindInvalid, Code: "BRO-00026", Message: "The resource requires the service owner party to be present as part of the transaction."}
	ErrRequiredPartyOne      = &Error{Kind: KindInvalid, Code: "BRO-00027", Message: "When required party is specified and the required party is not the sender, the number of recipients can only be one."}
	ErrRecipientWithoutRight = &Error{Kind: KindInvalid, Code: "BRO-00028", Message: "All recipients need to be in the access list of the resource."}
	ErrRange                 = &Error{Kind: KindRange, Code: "BRO-00029", Message: "The requested byte range is not satisfiable."}
	ErrOwnerExists           = &Error{Kind: KindConflict, Code: "BRO-07002", Message: "Service owner already exists"}
	ErrOwnerNotFound         = &Error{Kind: KindNotFound, Code: "BRO-07004", Message: "Service owner not found"}

	ErrUnavailable      = &Error{Kind: KindUnavailable, Code: "FMD-00002", Message: "A part of the broker is not reachable right now. Nothing was lost; send the same request again."}
	ErrStorageFull      = &Error{Kind: KindStorageFull, Code: "FMD-00003", Message: "There is no room left for the file. Send it again later; an upload in several requests goes on where HEAD says that it stands."}
	ErrKeyReused        = &Error{Kind: KindMismatchedKey, Code: "FMD-00004", Message: "The Idempotency-Key was used before with another request."}
	ErrNotCancellable   = &Error{Kind: KindConflict, Code: "FMD-00005", Message: "The file transfer can no longer be cancelled. See file transfer status."}
	ErrUploadIncomplete = &Error{Kind: KindInvalid, Code: "FMD-00006", Message: "The upload ended before the whole file had arrived. Nothing of it was kept; send it again."}
	ErrTooManyUploads   = &Error{Kind: KindUnavailable, Code: "FMD-00007", Message: "All upload slots are taken right now. Send the file again later."}
	ErrUnauthenticated  = &Error{Kind: KindUnauthorized, Code: "FMD-00008", Message: "A valid bearer token or enterprise certificate is required."}
	ErrMissingScope     = &Error{Kind: KindForbidden, Code: "FMD-00009", Message: "The token does not carry the scope that this operation needs."}
	ErrNoSuchRoute      = &Error{Kind: KindNotFound, Code: "FMD-00010", Message: "There is nothing at this path."}
	ErrObjectExists     = &Error{Kind: KindConflict, Code: "FMD-00011", Message: "An object with this key exists."}
	ErrObjectNotFound   = &Error{Kind: KindNotFound, Code: "FMD-00012", Message: "There is no such object."}
	ErrMovedOn          = &Error{Kind: KindConflict, Code: "FMD-00015", Message: "The file transfer has moved on meanwhile. See file transfer status."}
	ErrLeaseLost        = &Error{Kind: KindConflict, Code: "FMD-00016", Message: "The upload was given up because it stood still for too long. Nothing of it was kept; send it again."}
	ErrAcceptedBefore   = &Error{Kind: KindConflict, Code: "FMD-00017", Message: "This transfer was accepted before."}
	ErrStoredDiffers    = &Error{Kind: KindConflict, Code: "FMD-00018", Message: "The stored file differs from what was received. Create a new file transfer to try again."}
	ErrStalled          = &Error{Kind: KindTimeout, Code: "FMD-00019", Message: "No bytes arrived for too long. Nothing of the file was kept; send it again."}
	ErrRequestTooLarge  = &Error{Kind: KindTooLarge, Code: "FMD-00020", Message: "The request is larger than this operation takes."}
	ErrMediaType        = &Error{Kind: KindMediaType, Code: "FMD-00021", Message: "The request's Content-Type is not the one this operation takes."}
	ErrAssertionUsed    = &Error{Kind: KindUnauthorized, Code: "FMD-00022", Message: "The assertion was used before."}
	ErrClientNotFound   = &Error{Kind: KindNotFound, Code: "FMD-00023", Message: "There is no such client."}

	ErrPreconditionRequired = &Error{Kind: KindNoCondition, Code: "FMD-00024", Message: "This exists: send If-Match with the ETag that you read, so that no change of somebody else is lost, or If-Match: *."}
	ErrPreconditionFailed   = &Error{Kind: KindCondition, Code: "FMD-00025", Message: "What is stored is not what your If-Match or If-None-Match asks for. Read it again."}
	ErrEntryNotFound        = &Error{Kind: KindNotFound, Code: "FMD-00026", Message: "There is no such entry in the registry."}
	ErrServiceClosed        = &Error{Kind: KindForbidden, Code: "FMD-00027", Message: "The service is closed for new transfers."}
	ErrLoginMethodRefused   = &Error{Kind: KindForbidden, Code: "FMD-00028", Message: "The service does not accept this way of logging in."}
	ErrSupplierRefused      = &Error{Kind: KindForbidden, Code: "FMD-00029", Message: "The service does not accept this supplier."}
	ErrGrantInTheWay        = &Error{Kind: KindConflict, Code: "FMD-00059", Message: "The organisation has a grant or a block in this service that the approval would change beyond what was asked for. Write the grant as it shall be, then answer the request."}
	ErrOwnCertificate       = &Error{Kind: KindForbidden, Code: "FMD-00031", Message: "Only the organisation itself may do this, with its own certificate."}
	ErrNotForSuppliers      = &Error{Kind: KindForbidden, Code: "FMD-00032", Message: "Only the organisation itself may do this, not a supplier that acts for it."}
	ErrAnswered             = &Error{Kind: KindConflict, Code: "FMD-00033", Message: "The access request was answered before."}
	ErrLocksOut             = &Error{Kind: KindConflict, Code: "FMD-00034", Message: "The lock would refuse the very credential that sets it."}
	ErrNotApplied           = &Error{Kind: KindConflict, Code: "FMD-00036", Message: "Nothing of the batch was applied, because another row was refused."}
	ErrRequestPending       = &Error{Kind: KindConflict, Code: "FMD-00035", Message: "An access request of yours for this service is waiting for its answer."}

	ErrNoSuchEvent      = &Error{Kind: KindInvalid, Code: "FMD-00070", Message: "You were told of no event with this id. Leave out after to read from the first event."}
	ErrTooManyListeners = &Error{Kind: KindUnavailable, Code: "FMD-00071", Message: "Too many clients wait for events right now. Ask again later, or without wait."}

	ErrSubscriptionNotFound  = &Error{Kind: KindNotFound, Code: "FMD-00080", Message: "There is no such subscription."}
	ErrTestRunning           = &Error{Kind: KindConflict, Code: "FMD-00081", Message: "A test event is on its way to this endpoint. Ask again when it was answered."}
	ErrNotValidated          = &Error{Kind: KindConflict, Code: "FMD-00082", Message: "The endpoint has not answered its validation event yet, and is sent nothing else before it did."}
	ErrOtherContent          = &Error{Kind: KindMismatchedContent, Code: "FMD-00050", Message: "The SHA-256 is not that of the file. Nothing was confirmed; a receipt says what you found."}
	ErrProofInvalid          = &Error{Kind: KindMismatchedContent, Code: "FMD-00051", Message: "The proof is not a signature of this content by your organisation's own enterprise certificate."}
	ErrNoProofs              = &Error{Kind: KindForbidden, Code: "FMD-00052", Message: "This installation trusts no enterprise certificates, so it can take no proofs."}
	ErrSaidEnough            = &Error{Kind: KindConflict, Code: "FMD-00054", Message: "You have said as much about this transfer as is kept."}
	ErrNotLogged             = &Error{Kind: KindNotFound, Code: "FMD-00053", Message: "The log does not hold this, or not yet."}
	ErrBundleTooLarge        = &Error{Kind: KindConflict, Code: "FMD-00055", Message: "There are more receipts of this transfer than one bundle holds, and a part is never signed as the whole. Read them page by page."}
	ErrNoReceiptKeys         = &Error{Kind: KindNotFound, Code: "FMD-00057", Message: "This installation has no keys for receipts, so it publishes no signatures: neither bundles, keys nor a log."}
	ErrTooManyUploadsOfOne   = &Error{Kind: KindTooMany, Code: "FMD-00090", Message: "Your organisation has as many uploads running as it may at once. Send the file again when one of them has ended."}
	ErrTooManyDownloadsOfOne = &Error{Kind: KindTooMany, Code: "FMD-00091", Message: "Your organisation has as many downloads running as it may at once. Ask again when one of them has ended."}

	// Of uploads in several requests (tus).
	ErrUploadOffset   = &Error{Kind: KindConflict, Code: "FMD-00060", Message: "The Upload-Offset is not where the upload stands. Ask with HEAD, and go on from there."}
	ErrChunkChecksum  = &Error{Kind: KindChecksum, Code: "FMD-00061", Message: "The bytes are not what Upload-Checksum says. Nothing of them was kept; send them again."}
	ErrUploadUnknown  = &Error{Kind: KindNotFound, Code: "FMD-00062", Message: "There is no such upload. Open one with POST."}
	ErrUploadGone     = &Error{Kind: KindGone, Code: "FMD-00063", Message: "The upload was given up, or nobody went on with it for too long. Open a new one with POST."}
	ErrUploadOpen     = &Error{Kind: KindConflict, Code: "FMD-00064", Message: "Another upload of this file transfer is open. Go on with it, or end it with DELETE."}
	ErrTusVersion     = &Error{Kind: KindVersion, Code: "FMD-00065", Message: "Send the header Tus-Resumable: 1.0.0."}
	ErrBeyondEnd      = &Error{Kind: KindTooLarge, Code: "FMD-00066", Message: "The bytes go beyond the Upload-Length."}
	ErrPartIncomplete = &Error{Kind: KindConflict, Code: "FMD-00067", Message: "A part that is to be joined is not complete."}
	ErrUploadTaken    = &Error{Kind: KindConflict, Code: "FMD-00068", Message: "Another request goes on with this upload. Ask with HEAD where it stands."}
	ErrChunkCut       = &Error{Kind: KindInvalid, Code: "FMD-00069", Message: "The request ended before all of its bytes had arrived. Ask with HEAD what was kept, and go on from there."}
	ErrUploadLost     = &Error{Kind: KindGone, Code: "FMD-00096", Message: "The storage has lost bytes of this upload, so it was given up. Open a new one with POST, and send the file from its beginning."}

	ErrInternal = &Error{Kind: KindInternal, Code: "FMD-00014", Message: "Something went wrong at our end."}
)
