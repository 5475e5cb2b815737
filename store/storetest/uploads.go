package storetest

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// TusFor is an upload in several requests, by alice.
func TusFor(transfer uuid.UUID, length int64, change ...func(*models.TusUpload)) models.TusUpload {
	u := models.TusUpload{ID: uuid.New(), TransferID: transfer, Length: &length, OpenedBy: As(Alice)}
	for _, c := range change {
		c(&u)
	}
	return u
}

// AsPart makes an upload a part of a file.
func AsPart(u *models.TusUpload) { u.Part = true }

// Opened opens an upload.
func (b *Bundle) Opened(t testing.TB, u models.TusUpload) models.TusUpload {
	t.Helper()
	u, err := b.OpenTus(t.Context(), u)
	require.NoError(t, err)
	return u
}

// Progress is the bytes between two offsets.
func Progress(from, to int64) models.TusProgress {
	return models.TusProgress{
		From: from, Received: to, CRC32C: uint32(to), Hashes: models.HashState{SHA256: []byte{1}, MD5: []byte{2}}, //nolint:gosec // G115: a made-up checksum
		Segment: models.TusSegment{First: 0, Name: "s", Size: to, CRC32C: uint32(to)}, //nolint:gosec // G115: likewise
	}
}

// Fill receives all bytes of an upload in one go.
func (b *Bundle) Fill(t testing.TB, u models.TusUpload) {
	t.Helper()
	epoch, err := b.ClaimTus(t.Context(), u.ID, 0, nil)
	require.NoError(t, err)
	require.NoError(t, b.CommitTus(t.Context(), u.ID, epoch, Progress(0, *u.Length)))
}
