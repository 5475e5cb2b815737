package models

// Content identifies bytes that are durable in object storage, and what they hash to.
type Content struct {
	Key        string // object key, unique per upload attempt and never reused
	Generation int64  // of the object; reads and deletes are pinned to it
	Size       int64  // bytes
	MD5        string // lower-case hex
	SHA256     string // lower-case hex
	CRC32C     uint32 // Castagnoli
}

// StoredObject is what object storage itself reports of an object.
type StoredObject struct {
	Generation int64
	Size       int64   // bytes
	CRC32C     *uint32 // nil where the storage keeps none (local disk)
}
