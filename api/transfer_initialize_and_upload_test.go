package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

func TestForm_TakesItsPartsInAnyOrder(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for range 10 {
		parts := apitest.FormParts()
		rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		var out contract.FileUploaded
		b.Form(parts).Is(http.StatusOK, "").JSON(&out)
		require.Equal(t, contract.FileTransferStatusPublished, out.FileTransferStatus)
		o := b.Overview(alice, out.FileTransferID.String())
		require.Equal(t, "form.bin", o.FileName)
		require.Equal(t, contract.PropertyList{"a.b": "1", "c": "2"}, o.PropertyList)
		require.Len(t, o.Recipients, 2)
		require.Equal(t, "the content", string(b.Call(bob, "GET", "/filetransfer/"+o.FileTransferID.String()+"/download", "").Raw))
	}
}

func TestForm_KnowsItsFileInAnyCase(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	parts := apitest.FormParts()
	parts[len(parts)-1][0] = "fileTransfer"
	b.Form(parts).Is(http.StatusOK, "")
}

func TestForm_WithOneKeyMakesOneTransfer(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	var first, again contract.FileUploaded
	b.Form(apitest.FormParts(), "Idempotency-Key", "f").Is(http.StatusOK, "").JSON(&first)
	b.Form(apitest.FormParts(), "Idempotency-Key", "f").Is(http.StatusOK, "").JSON(&again)
	require.Equal(t, first, again)
	require.Len(t, b.Stored(), 1)
}

func TestForm_LeavesNothingWhenItIsRefused(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	without := func(name string) []apitest.FormPart {
		var out []apitest.FormPart
		for _, p := range apitest.FormParts() {
			if !strings.EqualFold(p[0], name) {
				out = append(out, p)
			}
		}
		return out
	}
	require.Contains(t, b.Form(without("Metadata.Sender")).Is(http.StatusBadRequest, "FMD-00001").Problem().Errors, "sender")
	require.Contains(t, b.Form(without("FileTransfer")).Is(http.StatusBadRequest, "FMD-00001").Problem().Errors, "FileTransfer")
	b.Form(append(without("Metadata.ResourceId"), apitest.FormPart{"Metadata.ResourceId", "unknown"})).Is(http.StatusUnauthorized, "BRO-00006")
	b.Form(append(apitest.FormParts(), apitest.FormPart{"FileTransfer", "second"})).Is(http.StatusBadRequest, "FMD-00001")
	b.Form(append(apitest.FormParts(), apitest.FormPart{"Metadata.Checksum", apitest.MD5Hex([]byte("other"))})).Is(http.StatusBadRequest, "BRO-00009")
	b.Form(append(apitest.FormParts(), apitest.FormPart{"Metadata.FileName", strings.Repeat("x", api.MaxFormField+1)})).Is(http.StatusBadRequest, "FMD-00001")
	b.OK(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":5}`)
	p := b.Form(apitest.FormParts()).Is(http.StatusBadRequest, "BRO-00016").Problem()
	require.Equal(t, int64(5), *p.Limit)
	require.Len(t, b.Found(alice, ""), 1, "only the one whose checksum differed became a transfer")
	b.Call(alice, "POST", "/filetransfer/upload", "x", "Content-Type", "text/plain").Is(http.StatusUnsupportedMediaType, "")
	b.Call(alice, "POST", "/filetransfer/upload", "--x\r\nhalf", "Content-Type", "multipart/form-data; boundary=x").Is(http.StatusBadRequest, "")
	require.Empty(t, b.Stored())
}

// 20,000 fields of 64 KiB each would be 1.3 GB of memory for one request.
func TestForm_HoldsNoMoreTextThanJSONMay(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	parts := apitest.FormParts()
	for i := range api.MaxFormText/60_000 + 1 {
		parts = append(parts, apitest.FormPart{fmt.Sprintf("Metadata.PropertyList[%d]", i), strings.Repeat("x", 60_000)})
	}
	b.Form(parts).Is(http.StatusRequestEntityTooLarge, "FMD-00020")
	require.Empty(t, b.Stored())
}

func TestForm_ThatEndsWithinItsFileIsIncomplete(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	for _, end := range []string{"", "\r\n", "\r\n--x", "\r\n--x\r\nbroken header\r\n\r\n"} {
		body := "--x\r\nContent-Disposition: form-data; name=\"FileTransfer\"; filename=\"f\"\r\n\r\nhalf" + end
		b.Call(alice, "POST", "/filetransfer/upload", body, "Content-Type", "multipart/form-data; boundary=x").Is(http.StatusBadRequest, "")
	}
	require.Empty(t, b.Stored())
}

func TestForm_ThatIsRefusedLeavesNoDirectory(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	file := apitest.FormPart{"FileTransfer", "the content"}
	b.Form([]apitest.FormPart{file}).Is(http.StatusBadRequest, "FMD-00001")
	b.Form([]apitest.FormPart{file, file}).Is(http.StatusBadRequest, "FMD-00001")
	half := "--x\r\nContent-Disposition: form-data; name=\"FileTransfer\"\r\n\r\nhalf"
	b.Call(alice, "POST", "/filetransfer/upload", half, "Content-Type", "multipart/form-data; boundary=x").Is(http.StatusBadRequest, "FMD-00006")
	left, err := filepath.Glob(filepath.Join(b.Files, "ft", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// leaving fails, and leaves what it was given until it can be deleted.
type leaving struct {
	api.Contents
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
	b := apitest.Setup(t, func(s *apitest.Config) { broken.Contents, s.Contents = s.Contents, broken })
	b.Form(apitest.FormParts()).Is(http.StatusServiceUnavailable, "")
	require.Empty(t, b.Stored())
	broken.down = true
	b.Form(apitest.FormParts()).Is(http.StatusServiceUnavailable, "")
	require.Len(t, b.Stored(), 1)
	later, err := store.Open(b.Database, store.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }})
	require.NoError(t, err)
	defer func() { require.NoError(t, later.Close()) }()
	require.NoError(t, api.CollectAbandoned(t.Context(), later, b.Objects))
	require.Empty(t, b.Stored())
}

func TestForm_WhoseProcessDiedIsCollected(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	ctx := t.Context()
	attempt := models.UploadAttempt{ID: uuid.New(), ObjectKey: models.AttemptKey(uuid.New(), uuid.New())}
	require.NoError(t, b.Store.BeginUpload(ctx, attempt, 10*time.Millisecond))
	_, err := b.Objects.Put(ctx, attempt.ObjectKey, strings.NewReader("orphan"), 100)
	require.NoError(t, err)
	require.Len(t, b.Stored(), 1)
	require.Eventually(t, func() bool {
		require.NoError(t, api.CollectAbandoned(ctx, b.Store, b.Objects))
		return len(b.Stored()) == 0
	}, 5*time.Second, 5*time.Millisecond)
	left, err := b.Store.AbandonedUploads(ctx, 10)
	require.NoError(t, err)
	require.Empty(t, left)
}
