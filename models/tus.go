package models

import (
	"crypto/md5" //nolint:gosec // part of the contract of the Altinn broker, not a defence
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"time"

	"github.com/google/uuid"
)

// TusLife is how long an upload that nobody touches stays open; each request that moves it begins it anew.
const TusLife = 24 * time.Hour

// MaxTusParts is how many parallel parts a transfer may have at a time: their URLs must fit into one header.
const MaxTusParts = 250

// EmptyTusPart is for how long a part counts of which no byte has come: maybe the answer to whoever opened it was lost,
// and it was opened again.
const EmptyTusPart = 5 * time.Minute

// TusUpload is an upload whose bytes come in several requests (TUS 1.0.0), as the database keeps it. It has
// an upload attempt of the same ID. A transfer has at most one that is neither a part nor ended.
type TusUpload struct {
	ID          uuid.UUID `gorm:"primaryKey"`
	TransferID  uuid.UUID
	Part        bool        // one of several parallel ones, which a final upload joins
	Joins       []uuid.UUID `gorm:"serializer:json"` // of a final upload: its parts, in order
	Number      int         // of a part: the place in which it was opened, from 1; 0 of what is no part
	Place       *int64      // of a part: bytes before it, if all are joined as they were opened; nil when that is not known
	Share       *uuid.UUID  // of a part with a place: the first of those that are thought to be of one file
	Length      *int64      // bytes; nil while it is deferred
	Received    int64       // bytes that are durable
	Epoch       int64       // grows with each writer; who holds an older one can change nothing any more
	SHA256State []byte      `gorm:"column:sha256_state"` // over Received bytes, marshalled; empty where it is not carried along
	MD5State    []byte      `gorm:"column:md5_state"`
	NoMD5       bool        `gorm:"column:no_md5"` // the service leaves it out
	CRC32C      uint32      `gorm:"column:crc32c"`
	Metadata    string      // Upload-Metadata as given
	OpenedBy    Caller      `gorm:"serializer:json"` // and in whose name what was cut off is finished
	Opened      time.Time
	Expires     time.Time
	Completed   *time.Time // all bytes are durable
	Ended       *time.Time // given up or expired
}

// Hashes returns what is carried along.
func (u TusUpload) Hashes() HashState {
	return HashState{SHA256: u.SHA256State, MD5: u.MD5State, NoMD5: u.NoMD5}
}

// HashesSoFar are those of all bytes of the file until the end of what has come: of an upload that is no part, of its own;
// of a part with a place also of the parts before it. held is false where they are not carried along.
func (u TusUpload) HashesSoFar() (h HashState, held bool) {
	switch h = u.Hashes(); {
	case !u.Part, u.Number == 1:
		return h, true
	case u.Place == nil:
		return h, false
	case *u.Place == 0 && u.Received == 0:
		return h, true
	}
	return h, h.length() == *u.Place+u.Received
}

// Live tells whether the upload may go on.
func (u TusUpload) Live(now time.Time) bool {
	return u.Ended == nil && (u.Completed != nil && !u.Part || now.Before(u.Expires))
}

// Counts tells whether a part that is not given up counts among the others of its transfer.
func (u TusUpload) Counts(now time.Time) bool {
	return u.Received > 0 || now.Sub(u.Opened) < EmptyTusPart
}

// TusSegment is a run of bytes of a TusUpload that is durable.
type TusSegment struct {
	UploadID uuid.UUID `gorm:"primaryKey"`
	First    int64     `gorm:"primaryKey"` // place of its first byte in the upload
	Name     string    // its object
	Offset   int64     `gorm:"column:object_offset"` // place of its first byte in that
	Size     int64     // bytes; the object may have more that do not count
	CRC32C   uint32    `gorm:"column:crc32c"`
}

// TusDigest is how far the parts of a transfer are hashed, one after the other in the order that they are
// expected to be joined in.
type TusDigest struct {
	TransferID  uuid.UUID   `gorm:"primaryKey"`
	Parts       []uuid.UUID `gorm:"serializer:json"` // that Hashed bytes reach into
	Hashed      int64       // bytes from the beginning of the first part
	SHA256State []byte      `gorm:"column:sha256_state"`
	MD5State    []byte      `gorm:"column:md5_state"`
	Epoch       int64       // as of a TusUpload
	LeaseUntil  time.Time
}

// TusPrefix is what the keys of all segments of an upload begin with.
func TusPrefix(transfer, upload uuid.UUID) string {
	return fmt.Sprintf("%s/tus-%s", TransferPrefix(transfer), upload)
}

// TusSharedPrefix is what the key begins with of the object that parts share.
func TusSharedPrefix(transfer, share uuid.UUID) string {
	return fmt.Sprintf("%s/tus-parts-%s", TransferPrefix(transfer), share)
}

// TusSharedKey is the key of that object.
func TusSharedKey(transfer, share uuid.UUID) string { return TusSharedPrefix(transfer, share) + "/all" }

// TusPlace is where a part lies in the file that it is a part of, if all are joined as they were opened.
type TusPlace struct {
	Key           string // the same for all parts
	First, Length int64  // bytes
}

// TusDraft is the durable beginning of a content whose bytes come in several requests.
type TusDraft struct {
	Prefix   string       // of the keys of its segments
	Segments []TusSegment // the last one, if there is any
	Place    *TusPlace    // nil: it has none
	Received int64        // bytes
	Hashes   HashState
	CRC32C   uint32
	CarryAll bool // SHA-256 and MD5 are carried along, not the CRC32C alone
}

// TusAppend is a request to add bytes at the end of a TusDraft.
type TusAppend struct {
	Limit int64     // bytes that may come
	Check *Checksum // of the bytes that come; nil: none was given. Nothing is committed before it was right
	// Claim takes the draft over from whoever had it, before the first byte is read, and returns the new epoch.
	Claim func() (epoch int64, err error)
	// Commit records what has become durable. It is called in order, never twice at a time.
	Commit func(TusProgress) error
	// Failed, if not nil, is told at once, from another goroutine and at most once, what could not be made durable or
	// committed. Nothing that still comes can count: whoever waits for more of the body is to be woken.
	Failed func(error)
}

// TusProgress is what a TusAppend made durable.
type TusProgress struct {
	From     int64 // bytes that the draft had before
	Received int64 // bytes that it has now
	Segment  TusSegment
	Hashes   HashState
	CRC32C   uint32
}

// Checksum is what bytes must hash to.
type Checksum struct {
	Algorithm string // one of ChecksumAlgorithms
	Sum       []byte
}

// ChecksumAlgorithms are those of Checksum, with the length of their sums in bytes.
func ChecksumAlgorithms() map[string]int {
	return map[string]int{"sha256": 32, "md5": 16, "sha1": 20, "crc32c": 4}
}

// TusAssembly is a request to make one object of segments.
type TusAssembly struct {
	Key        string
	Segments   []TusSegment // in order; First does not matter
	Shared     string       // the Key of a TusPlace, if they may have one
	Generation int64        // that the object gets where the storage leaves it to us
}

// HashState is a SHA-256 and an MD5 on their way, marshalled. The zero value has seen no byte.
type HashState struct {
	SHA256, MD5 []byte
	NoMD5       bool // the MD5 is left out
}

// Resume returns hashes that go on where the state ends; no MD5 where it is left out.
func (s HashState) Resume() (sha, md hash.Hash, err error) {
	sha = sha256.New()
	if err = resume(sha, s.SHA256); err == nil && !s.NoMD5 {
		md = md5.New() //nolint:gosec // see the import
		err = resume(md, s.MD5)
	}
	return sha, md, err
}

func resume(h hash.Hash, state []byte) error {
	if len(state) == 0 {
		return nil
	}
	u, ok := h.(encoding.BinaryUnmarshaler)
	if !ok {
		return fmt.Errorf("resume hash: %T cannot be resumed", h)
	}
	if err := u.UnmarshalBinary(state); err != nil {
		return fmt.Errorf("resume hash: %w", err)
	}
	return nil
}

// SaveHashes is the state of both, or of the SHA-256 alone where there is no MD5.
func SaveHashes(sha, md hash.Hash) (s HashState, err error) {
	s.MD5, s.NoMD5 = []byte{}, md == nil
	if s.SHA256, err = marshalHash(sha); err == nil && md != nil {
		s.MD5, err = marshalHash(md)
	}
	return s, err
}

func marshalHash(h hash.Hash) ([]byte, error) {
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil, fmt.Errorf("marshal hash: %T cannot be resumed", h)
	}
	return m.MarshalBinary()
}

// Sums are the SHA-256 and the MD5 of all that was seen, in lower-case hex; the MD5 is empty where it is left out.
func (s HashState) Sums() (sha256Hex, md5Hex string, err error) {
	sha, md, err := s.Resume()
	if err != nil {
		return "", "", err
	}
	if md != nil {
		md5Hex = hex.EncodeToString(md.Sum(nil))
	}
	return hex.EncodeToString(sha.Sum(nil)), md5Hex, nil
}

// length is how many bytes a state has seen, which it ends with; -1 when it is none.
func (s HashState) length() int64 {
	if len(s.SHA256) < 8 {
		return -1
	}
	return int64(binary.BigEndian.Uint64(s.SHA256[len(s.SHA256)-8:])) //nolint:gosec // a file's length
}
