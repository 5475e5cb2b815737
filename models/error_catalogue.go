package models

import (
	"slices"
	"strings"
)

// catalogue is every error that was made by newError, by its code.
var catalogue []*Error

// newError adds an error to the catalogue. There is no other way to make one with a code of its own.
func newError(kind Kind, code, message string) *Error {
	e := &Error{Kind: kind, Code: code, Message: message}
	catalogue = append(catalogue, e)
	return e
}

// Catalogue is every error that a caller may be told of, or that is told inside the broker, in order of code.
func Catalogue() []Error {
	out := make([]Error, len(catalogue))
	for i, e := range catalogue {
		out[i] = *e
	}
	slices.SortStableFunc(out, func(a, b Error) int { return strings.Compare(a.Code, b.Code) })
	return out
}

// The catalogue. Codes, messages and kinds of BRO entries are Altinn's (docs/reference/altinn-broker.md 1.2). A number is never used for
// another error again; those that are not used stand in the test of the catalogue, each with why.
var (
	errInvalid = newError(KindInvalid, "FMD-00001", "One or more validation errors occurred.")
	errQuota   = newError(KindConflict, "FMD-00030", "A quota is used up.")

	ErrTransferNotFound      = newError(KindNotFound, "BRO-00001", "The requested file transfer was not found")
	ErrNoFileYet             = newError(KindInvalid, "BRO-00003", "No file uploaded yet")
	ErrAlreadyUploaded       = newError(KindConflict, "BRO-00004", "A file transfer has already been, or attempted to be, created. Create a new file transfer resource to try again.")
	ErrNoAccess              = newError(KindUnauthorized, "BRO-00006", "You must use a bearer token that represents a system user with access to the resource in the Resource Rights Registry")
	ErrNotReadyForDownload   = newError(KindForbidden, "BRO-00007", "The requested file transfer's file is not ready for download. See file transfer status.")
	ErrUploadFailed          = newError(KindInternal, "BRO-00008", "Error occurred while uploading file See /details for more information.")
	ErrChecksumMismatch      = newError(KindInvalid, "BRO-00009", "The checksum of uploaded file did not match the checksum specified in initialize call.")
	ErrNotPublished          = newError(KindInvalid, "BRO-00010", "A file transfer can only be confirmed to be downloaded when it is published. See file transfer status.")
	ErrMaxSizeNegative       = newError(KindInvalid, "BRO-00011", "Max file transfer size cannot be negative")
	ErrMaxSizeZero           = newError(KindInvalid, "BRO-00012", "Max file transfer size cannot be zero")
	ErrTTLFormat             = newError(KindInvalid, "BRO-00014", "Invalid file transfer time to live format. Should follow ISO8601 standard for duration. Example: 'P30D' for 30 days.")
	ErrTTLTooLong            = newError(KindInvalid, "BRO-00015", "Time to live cannot exceed 365 days")
	ErrFileTooLarge          = newError(KindInvalid, "BRO-00016", "File size exceeds maximum")
	ErrGraceFormat           = newError(KindInvalid, "BRO-00017", "Invalid grace period format. Should follow ISO8601 standard for duration. Example: 'PT2H' for 2 hours.")
	ErrGraceTooLong          = newError(KindInvalid, "BRO-00018", "Grace period cannot exceed 24 hours")
	ErrNotDownloaded         = newError(KindInvalid, "BRO-00019", "Cannot confirm before the files have been downloaded")
	ErrMaxSizeTooLarge       = newError(KindInvalid, "BRO-00022", "Max file transfer size cannot be set higher than 100GB in production because it has not yet been tested for it. Contact us @ Slack if you need it.")
	ErrManifestShimCodes     = newError(KindInvalid, "BRO-00023", "In order to use manifest file shim you need to provide external service code and edition code")
	ErrOwnerNotConfigured    = newError(KindInvalid, "BRO-00024", "The service owner associated with the resource has not been configured.")
	ErrResourceNotConfigured = newError(KindInvalid, "BRO-00025", "The resource has not been configured.")
	ErrRequiredPartyAbsent   = newError(KindInvalid, "BRO-00026", "The resource requires the service owner party to be present as part of the transaction.")
	ErrRequiredPartyOne      = newError(KindInvalid, "BRO-00027", "When required party is specified and the required party is not the sender, the number of recipients can only be one.")
	ErrRecipientWithoutRight = newError(KindInvalid, "BRO-00028", "All recipients need to be in the access list of the resource.")
	ErrRange                 = newError(KindRange, "BRO-00029", "The requested byte range is not satisfiable.")
	ErrOwnerExists           = newError(KindConflict, "BRO-07002", "Service owner already exists")
	ErrOwnerNotFound         = newError(KindNotFound, "BRO-07004", "Service owner not found")

	ErrUnavailable      = newError(KindUnavailable, "FMD-00002", "A part of the broker is not reachable right now. Nothing was lost; send the same request again.")
	ErrStorageFull      = newError(KindStorageFull, "FMD-00003", "There is no room left for the file. Send it again later; an upload in several requests goes on where HEAD says that it stands.")
	ErrKeyReused        = newError(KindMismatchedKey, "FMD-00004", "The Idempotency-Key was used before with another request.")
	ErrNotCancellable   = newError(KindConflict, "FMD-00005", "The file transfer can no longer be cancelled. See file transfer status.")
	ErrUploadIncomplete = newError(KindInvalid, "FMD-00006", "The upload ended before the whole file had arrived. Nothing of it was kept; send it again.")
	ErrTooManyUploads   = newError(KindUnavailable, "FMD-00007", "All upload slots are taken right now. Send the file again later.")
	ErrUnauthenticated  = newError(KindUnauthorized, "FMD-00008", "A valid bearer token or enterprise certificate is required.")
	ErrMissingScope     = newError(KindForbidden, "FMD-00009", "The token does not carry the scope that this operation needs.")
	ErrNoSuchRoute      = newError(KindNotFound, "FMD-00010", "There is nothing at this path.")
	ErrObjectExists     = newError(KindConflict, "FMD-00011", "An object with this key exists.")
	ErrObjectNotFound   = newError(KindNotFound, "FMD-00012", "There is no such object.")
	ErrMovedOn          = newError(KindConflict, "FMD-00015", "The file transfer has moved on meanwhile. See file transfer status.")
	ErrLeaseLost        = newError(KindConflict, "FMD-00016", "The upload was given up because it stood still for too long. Nothing of it was kept; send it again.")
	ErrAcceptedBefore   = newError(KindConflict, "FMD-00017", "This transfer was accepted before.")
	ErrStoredDiffers    = newError(KindConflict, "FMD-00018", "The stored file differs from what was received. Create a new file transfer to try again.")
	ErrStalled          = newError(KindTimeout, "FMD-00019", "No bytes arrived for too long. Nothing of the file was kept; send it again.")
	ErrRequestTooLarge  = newError(KindTooLarge, "FMD-00020", "The request is larger than this operation takes.")
	ErrMediaType        = newError(KindMediaType, "FMD-00021", "The request's Content-Type is not the one this operation takes.")
	ErrAssertionUsed    = newError(KindUnauthorized, "FMD-00022", "The assertion was used before.")
	ErrClientNotFound   = newError(KindNotFound, "FMD-00023", "There is no such client.")

	ErrPreconditionRequired = newError(KindNoCondition, "FMD-00024", "This exists: send If-Match with the ETag that you read, so that no change of somebody else is lost, or If-Match: *.")
	ErrPreconditionFailed   = newError(KindCondition, "FMD-00025", "What is stored is not what your If-Match or If-None-Match asks for. Read it again.")
	ErrEntryNotFound        = newError(KindNotFound, "FMD-00026", "There is no such entry in the registry.")
	ErrServiceClosed        = newError(KindForbidden, "FMD-00027", "The service is closed for new transfers.")
	ErrLoginMethodRefused   = newError(KindForbidden, "FMD-00028", "The service does not accept this way of logging in.")
	ErrSupplierRefused      = newError(KindForbidden, "FMD-00029", "The service does not accept this supplier.")
	ErrGrantInTheWay        = newError(KindConflict, "FMD-00059", "The organisation has a grant or a block in this service that the approval would change beyond what was asked for. Write the grant as it shall be, then answer the request.")
	ErrOwnCertificate       = newError(KindForbidden, "FMD-00031", "Only the organisation itself may do this, with its own certificate.")
	ErrNotForSuppliers      = newError(KindForbidden, "FMD-00032", "Only the organisation itself may do this, not a supplier that acts for it.")
	ErrAnswered             = newError(KindConflict, "FMD-00033", "The access request was answered before.")
	ErrLocksOut             = newError(KindConflict, "FMD-00034", "The lock would refuse the very credential that sets it.")
	ErrNotApplied           = newError(KindConflict, "FMD-00036", "Nothing of the batch was applied, because another row was refused.")
	ErrRequestPending       = newError(KindConflict, "FMD-00035", "An access request of yours for this service is waiting for its answer.")

	ErrNoSuchEvent      = newError(KindInvalid, "FMD-00070", "You were told of no event with this id. Leave out after to read from the first event.")
	ErrTooManyListeners = newError(KindUnavailable, "FMD-00071", "Too many clients wait for events right now. Ask again later, or without wait.")

	ErrSubscriptionNotFound  = newError(KindNotFound, "FMD-00080", "There is no such subscription.")
	ErrTestRunning           = newError(KindConflict, "FMD-00081", "A test event is on its way to this endpoint. Ask again when it was answered.")
	ErrNotValidated          = newError(KindConflict, "FMD-00082", "The endpoint has not answered its validation event yet, and is sent nothing else before it did.")
	ErrOtherContent          = newError(KindMismatchedContent, "FMD-00050", "The SHA-256 is not that of the file. Nothing was confirmed; a receipt says what you found.")
	ErrProofInvalid          = newError(KindMismatchedContent, "FMD-00051", "The proof is not a signature of this content by your organisation's own enterprise certificate.")
	ErrNoProofs              = newError(KindForbidden, "FMD-00052", "This installation trusts no enterprise certificates, so it can take no proofs.")
	ErrSaidEnough            = newError(KindConflict, "FMD-00054", "You have said as much about this transfer as is kept.")
	ErrNotLogged             = newError(KindNotFound, "FMD-00053", "The log does not hold this, or not yet.")
	ErrBundleTooLarge        = newError(KindConflict, "FMD-00055", "There are more receipts of this transfer than one bundle holds, and a part is never signed as the whole. Read them page by page.")
	ErrNoReceiptKeys         = newError(KindNotFound, "FMD-00057", "This installation has no keys for receipts, so it publishes no signatures: neither bundles, keys nor a log.")
	ErrTooManyUploadsOfOne   = newError(KindTooMany, "FMD-00090", "Your organisation has as many uploads running as it may at once. Send the file again when one of them has ended.")
	ErrTooManyDownloadsOfOne = newError(KindTooMany, "FMD-00091", "Your organisation has as many downloads running as it may at once. Ask again when one of them has ended.")

	// Of uploads in several requests (tus).
	ErrUploadOffset   = newError(KindConflict, "FMD-00060", "The Upload-Offset is not where the upload stands. Ask with HEAD, and go on from there.")
	ErrChunkChecksum  = newError(KindChecksum, "FMD-00061", "The bytes are not what Upload-Checksum says. Nothing of them was kept; send them again.")
	ErrUploadUnknown  = newError(KindNotFound, "FMD-00062", "There is no such upload. Open one with POST.")
	ErrUploadGone     = newError(KindGone, "FMD-00063", "The upload was given up, or nobody went on with it for too long. Open a new one with POST.")
	ErrUploadOpen     = newError(KindConflict, "FMD-00064", "Another upload of this file transfer is open. Go on with it, or end it with DELETE.")
	ErrTusVersion     = newError(KindVersion, "FMD-00065", "Send the header Tus-Resumable: 1.0.0.")
	ErrBeyondEnd      = newError(KindTooLarge, "FMD-00066", "The bytes go beyond the Upload-Length.")
	ErrPartIncomplete = newError(KindConflict, "FMD-00067", "A part that is to be joined is not complete.")
	ErrUploadTaken    = newError(KindConflict, "FMD-00068", "Another request goes on with this upload. Ask with HEAD where it stands.")
	ErrChunkCut       = newError(KindInvalid, "FMD-00069", "The request ended before all of its bytes had arrived. Ask with HEAD what was kept, and go on from there.")
	ErrUploadLost     = newError(KindGone, "FMD-00096", "The storage has lost bytes of this upload, so it was given up. Open a new one with POST, and send the file from its beginning.")

	ErrInternal = newError(KindInternal, "FMD-00014", "Something went wrong at our end.")
)
