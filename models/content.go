package models

// Content identifies bytes that are durable in object storage, and what they hash to.
type Content struct {
	Key        string // object key, unique per upload attempt and never reused
	Generation int64  // of the object; reads and deletes are pinned to it
	Size       int64  // bytes
	MD5        string // lower-case hex; empty when it was not computed, see HashMD5
	SHA256     string // lower-case hex
	CRC32C     uint32 // Castagnoli
}

// Hash is a checksum that may be left out when bytes are stored. SHA-256 and CRC32C never are.
type Hash string

// HashMD5 is left out for services that do not want it: it takes more time than all the rest of an upload.
const HashMD5 Hash = "md5"

// What can be wrong with content; they become the status text. The first is the reference's (section 2.2).
const (
	FaultChecksum = "Checksum mismatch"
	FaultSize     = "File size exceeds maximum"
	FaultStored   = "The stored file differs from what was received"
	FaultNoUpload = "No file was uploaded before the deadline"
)

// FailureReason is a fault as EventUploadFailed tells it; empty for one that has no word of its own.
func FailureReason(text string) string {
	return map[string]string{
		FaultChecksum: "checksummismatch", FaultSize: "filetoolarge", FaultStored: "storedfilediffers", FaultNoUpload: "noupload",
	}[text]
}

// IsContentFault tells a fault of the content itself from other reasons why a transfer failed.
func IsContentFault(text string) bool {
	return text == FaultChecksum || text == FaultSize || text == FaultStored
}

// ContentFault is the error that the sender is told of a fault.
func ContentFault(text string) *Error {
	switch text {
	case FaultChecksum:
		return ErrChecksumMismatch
	case FaultSize:
		return ErrFileTooLarge
	}
	return ErrStoredDiffers
}

// StoredObject is what object storage itself reports of an object.
type StoredObject struct {
	Generation int64
	Size       int64   // bytes
	CRC32C     *uint32 // nil where the storage keeps none (local disk)
}

// Content is what the object of a key holds, as far as storage tells: enough to read it whole.
func (s StoredObject) Content(key string) Content {
	c := Content{Key: key, Generation: s.Generation, Size: s.Size}
	if s.CRC32C != nil {
		c.CRC32C = *s.CRC32C
	}
	return c
}
