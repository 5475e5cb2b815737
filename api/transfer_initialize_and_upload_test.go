package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

type part struct{ name, value string }

func formParts() []part {
	return []part{
		{"Metadata.FileName", "form.bin"},
		{"metadata.resourceid", svc},
		{"Metadata.SendersFileTransferReference", "ref"},
		{"Metadata.Sender", string(alice)},
		{"Metadata.Recipients", string(bob)},
		{"Metadata.Recipients[1]", string(carol)},
		{"Metadata.PropertyList[a.b]", "1"},
		{"Metadata.PropertyList.c", "2"},
		{"Metadata.DisableVirusScan", "true"},
		{"Unknown", "ignored"},
		{"FileTransfer", "the content"},
	}
}

func (b *bundle) form(parts []part, headers ...string) reply {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		var target io.Writer
		var err error
		if strings.EqualFold(p.name, "FileTransfer") {
			target, err = w.CreateFormFile(p.name, "local.bin")
		} else {
			target, err = w.CreateFormField(p.name)
		}
		require.NoError(b.t, err)
		_, err = io.WriteString(target, p.value)
		require.NoError(b.t, err)
	}
	require.NoError(b.t, w.Close())
	return b.do(b.request(alice, "POST", "/filetransfer/upload", &body, append([]string{"Content-Type", w.FormDataContentType()}, headers...)...))
}

func TestForm_TakesItsPartsInAnyOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 10 {
		parts := formParts()
		rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		var out contract.FileUploaded
		b.form(parts).is(http.StatusOK, "").json(&out)
		require.Equal(t, contract.FileTransferStatusPublished, out.FileTransferStatus)
		o := b.overview(alice, out.FileTransferID.String())
		require.Equal(t, "form.bin", o.FileName)
		require.Equal(t, contract.PropertyList{"a.b": "1", "c": "2"}, o.PropertyList)
		require.Len(t, o.Recipients, 2)
		require.Equal(t, "the content", string(b.call(bob, "GET", "/filetransfer/"+o.FileTransferID.String()+"/download", "").body))
	}
}

func TestForm_KnowsItsFileInAnyCase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts := formParts()
	parts[len(parts)-1].name = "fileTransfer"
	b.form(parts).is(http.StatusOK, "")
}

func TestForm_WithOneKeyMakesOneTransfer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var first, again contract.FileUploaded
	b.form(formParts(), "Idempotency-Key", "f").is(http.StatusOK, "").json(&first)
	b.form(formParts(), "Idempotency-Key", "f").is(http.StatusOK, "").json(&again)
	require.Equal(t, first, again)
	require.Len(t, b.stored(), 1)
}

func TestForm_LeavesNothingWhenItIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	without := func(name string) []part {
		var out []part
		for _, p := range formParts() {
			if !strings.EqualFold(p.name, name) {
				out = append(out, p)
			}
		}
		return out
	}
	require.Contains(t, b.form(without("Metadata.Sender")).is(http.StatusBadRequest, "FMD-00001").problem().Errors, "sender")
	require.Contains(t, b.form(without("FileTransfer")).is(http.StatusBadRequest, "FMD-00001").problem().Errors, "FileTransfer")
	b.form(append(without("Metadata.ResourceId"), part{"Metadata.ResourceId", "unknown"})).is(http.StatusUnauthorized, "BRO-00006")
	b.form(append(formParts(), part{"FileTransfer", "second"})).is(http.StatusBadRequest, "FMD-00001")
	b.form(append(formParts(), part{"Metadata.Checksum", md5Hex([]byte("other"))})).is(http.StatusBadRequest, "BRO-00009")
	b.form(append(formParts(), part{"Metadata.FileName", strings.Repeat("x", maxFormField+1)})).is(http.StatusBadRequest, "FMD-00001")
	b.ok(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":5}`)
	p := b.form(formParts()).is(http.StatusBadRequest, "BRO-00016").problem()
	require.Equal(t, int64(5), *p.Limit)
	require.Len(t, b.found(alice, ""), 1, "only the one whose checksum differed became a transfer")
	b.call(alice, "POST", "/filetransfer/upload", "x", "Content-Type", "text/plain").is(http.StatusUnsupportedMediaType, "")
	b.call(alice, "POST", "/filetransfer/upload", "--x\r\nhalf", "Content-Type", "multipart/form-data; boundary=x").is(http.StatusBadRequest, "")
	require.Empty(t, b.stored())
}

// 20,000 fields of 64 KiB each would be 1.3 GB of memory for one request.
func TestForm_HoldsNoMoreTextThanJSONMay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts := formParts()
	for i := range maxFormText/60_000 + 1 {
		parts = append(parts, part{fmt.Sprintf("Metadata.PropertyList[%d]", i), strings.Repeat("x", 60_000)})
	}
	b.form(parts).is(http.StatusRequestEntityTooLarge, "FMD-00020")
	require.Empty(t, b.stored())
}

func TestForm_ThatEndsWithinItsFileIsIncomplete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, end := range []string{"", "\r\n", "\r\n--x", "\r\n--x\r\nbroken header\r\n\r\n"} {
		body := "--x\r\nContent-Disposition: form-data; name=\"FileTransfer\"; filename=\"f\"\r\n\r\nhalf" + end
		b.call(alice, "POST", "/filetransfer/upload", body, "Content-Type", "multipart/form-data; boundary=x").is(http.StatusBadRequest, "")
	}
	require.Empty(t, b.stored())
}

func TestForm_ThatIsRefusedLeavesNoDirectory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := part{"FileTransfer", "the content"}
	b.form([]part{file}).is(http.StatusBadRequest, "FMD-00001")
	b.form([]part{file, file}).is(http.StatusBadRequest, "FMD-00001")
	half := "--x\r\nContent-Disposition: form-data; name=\"FileTransfer\"\r\n\r\nhalf"
	b.call(alice, "POST", "/filetransfer/upload", half, "Content-Type", "multipart/form-data; boundary=x").is(http.StatusBadRequest, "FMD-00006")
	left, err := filepath.Glob(filepath.Join(b.files, "ft", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// leaving fails, and leaves what it was given until it can be deleted.
type leaving struct {
	Contents
	down bool
}

func (l *leaving) Put(ctx context.Context, key string, body io.Reader, limit int64, _ ...models.Hash) (models.Content, error) {
	_, err := l.Contents.Put(ctx, key, body, limit)
	return models.Content{}, errors.Join(models.ErrUnavailable, err)
}

func (l *leaving) DeleteAll(ctx context.Context, prefix string) error {
	if l.down {
		return models.ErrUnavailable
	}
	return l.Contents.DeleteAll(ctx, prefix)
}

func TestForm_WhoseStorageFailedLeavesNothingForEver(t *testing.T) {
	t.Parallel()
	broken := &leaving{}
	b := setup(t, func(s *Server) { broken.Contents, s.Contents = s.Contents, broken })
	b.form(formParts()).is(http.StatusServiceUnavailable, "")
	require.Empty(t, b.stored())
	broken.down = true
	b.form(formParts()).is(http.StatusServiceUnavailable, "")
	require.Len(t, b.stored(), 1)
	later, err := store.Open(b.database, store.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }})
	require.NoError(t, err)
	defer func() { require.NoError(t, later.Close()) }()
	require.NoError(t, CollectAbandoned(t.Context(), later, b.objects))
	require.Empty(t, b.stored())
}

func TestForm_WhoseProcessDiedIsCollected(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	attempt := models.UploadAttempt{ID: uuid.New(), ObjectKey: models.AttemptKey(uuid.New(), uuid.New())}
	require.NoError(t, b.store.BeginUpload(ctx, attempt, 10*time.Millisecond))
	_, err := b.objects.Put(ctx, attempt.ObjectKey, strings.NewReader("orphan"), 100)
	require.NoError(t, err)
	require.Len(t, b.stored(), 1)
	require.Eventually(t, func() bool {
		require.NoError(t, CollectAbandoned(ctx, b.store, b.objects))
		return len(b.stored()) == 0
	}, 5*time.Second, 5*time.Millisecond)
	left, err := b.store.AbandonedUploads(ctx, 10)
	require.NoError(t, err)
	require.Empty(t, left)
}
