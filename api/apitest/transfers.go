package apitest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Found searches with a query and returns the ids.
func (b *Bundle) Found(by models.Party, query string) []string {
	b.T.Helper()
	var ids []string
	b.Call(by, "GET", "/filetransfer?resourceId="+Service+query, "").Is(http.StatusOK, "").JSON(&ids)
	return ids
}

// FormPart is a part of a form: its name and its content.
type FormPart [2]string

// FormParts are those of a correct form.
func FormParts() []FormPart {
	return []FormPart{
		{"Metadata.FileName", "form.bin"},
		{"metadata.resourceid", Service},
		{"Metadata.SendersFileTransferReference", "ref"},
		{"Metadata.Sender", string(Alice)},
		{"Metadata.Recipients", string(Bob)},
		{"Metadata.Recipients[1]", string(Carol)},
		{"Metadata.PropertyList[a.b]", "1"},
		{"Metadata.PropertyList.c", "2"},
		{"Metadata.DisableVirusScan", "true"},
		{"Unknown", "ignored"},
		{"FileTransfer", "the content"},
	}
}

// Form sends a form.
func (b *Bundle) Form(parts []FormPart, headers ...string) Reply {
	b.T.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		var target io.Writer
		var err error
		if strings.EqualFold(p[0], "FileTransfer") {
			target, err = w.CreateFormFile(p[0], "local.bin")
		} else {
			target, err = w.CreateFormField(p[0])
		}
		require.NoError(b.T, err)
		_, err = io.WriteString(target, p[1])
		require.NoError(b.T, err)
	}
	require.NoError(b.T, w.Close())
	return b.Do(b.Request(Alice, "POST", "/filetransfer/upload", &body, append([]string{"Content-Type", w.FormDataContentType()}, headers...)...))
}

// MD5Hex is a checksum as the contract has it.
func MD5Hex(b []byte) string { s := md5.Sum(b); return hex.EncodeToString(s[:]) }

// SHA256Hex is a checksum as the contract has it.
func SHA256Hex(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// Zeros is a body without end.
type Zeros struct{}

// Read implements io.Reader.
func (Zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// SlowUpload is an upload that has begun and goes on when it is told to.
type SlowUpload struct {
	ID     string
	Pipe   *io.PipeWriter
	Status chan int
}

// SlowUpload begins an upload of an organisation.
func (b *Bundle) SlowUpload(by models.Party) SlowUpload {
	b.T.Helper()
	id := b.Initialize(func(d map[string]any) { d["sender"] = Alice })
	if by != Alice {
		d := Draft()
		d["sender"] = by
		var out contract.FileTransferInitialized
		b.Call(by, "POST", "/filetransfer", ToJSON(b.T, d)).Is(http.StatusOK, "").JSON(&out)
		id = out.FileTransferID.String()
	}
	r, w := io.Pipe()
	u := SlowUpload{ID: id, Pipe: w, Status: make(chan int, 1)}
	request := b.Request(by, "POST", "/filetransfer/"+id+"/upload", r, "Content-Type", "application/octet-stream")
	go func() {
		response, err := b.Client.Do(request)
		if err != nil {
			u.Status <- 0
			return
		}
		_ = response.Body.Close()
		u.Status <- response.StatusCode
	}()
	_, err := w.Write([]byte("x"))
	require.NoError(b.T, err)
	require.Eventually(b.T, func() bool { return b.Overview(by, id).FileTransferStatus == contract.FileTransferStatusUploadStarted }, time.Minute, 5*time.Millisecond)
	return u
}

// Unread holds a download open and takes nothing of it but the first byte.
func (b *Bundle) Unread(id string) *http.Response {
	b.T.Helper()
	response, err := b.Client.Do(b.Request(Bob, "GET", "/filetransfer/"+id+"/download", nil))
	require.NoError(b.T, err)
	require.Equal(b.T, http.StatusOK, response.StatusCode)
	_, err = io.ReadFull(response.Body, make([]byte, 1))
	require.NoError(b.T, err)
	return response
}

// Revoke takes an organisation's grant in the service.
func (b *Bundle) Revoke(p models.Party) {
	b.T.Helper()
	b.Call(Owner, "DELETE", Grants+"/"+p.Number(), "", "If-Match", "*").Is(http.StatusNoContent, "")
}
