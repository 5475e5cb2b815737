package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
)

// storages are the places where an installation may keep its objects, as settings of installWith.
func storages(t *testing.T) map[string][]string {
	return map[string][]string{"local disk": {"OBJECTS=" + t.TempDir()}, "Cloud Storage": nil}
}

// startReplica starts one more API process of the installation and returns its URL.
func (i *installation) startReplica() string {
	i.t.Helper()
	port, err := testenv.FreePort()
	require.NoError(i.t, err)
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	env := append([]string{}, i.env...)
	testenv.Run(i.t, "formidling", append(env, "FORMIDLING_LISTEN="+listen), "api")
	testenv.Answers(i.t, "http://"+listen+"/readyz")
	return "http://" + listen
}

// pattern is content of any length, and different at any two places less than a period apart: the period divides no
// size of a buffer or a segment, so bytes at the wrong place are seen.
type pattern struct{ period []byte }

func newPattern(seed byte) pattern {
	p := make([]byte, 1<<20+7)
	sum := sha256.Sum256([]byte{seed})
	for n := 0; n < len(p); n += copy(p[n:], sum[:]) {
		sum = sha256.Sum256(sum[:])
	}
	return pattern{p}
}

// ReadAt implements io.ReaderAt; the content never ends.
func (p pattern) ReadAt(b []byte, at int64) (int, error) {
	for n := 0; n < len(b); {
		m := copy(b[n:], p.period[at%int64(len(p.period)):])
		n += m
		at += int64(m)
	}
	return len(b), nil
}

// from reads the first size bytes, beginning at an offset.
func (p pattern) from(at, size int64) io.Reader { return io.NewSectionReader(p, at, size-at) }

// sum is the SHA-256 of the first size bytes.
func (p pattern) sum(t *testing.T, size int64) string {
	t.Helper()
	h := sha256.New()
	_, err := io.Copy(h, p.from(0, size))
	require.NoError(t, err)
	return hex.EncodeToString(h.Sum(nil))
}

// downloaded is the SHA-256 and the size of what the first recipient is served.
func (i *installation) downloaded(id string) (sum string, size int64) {
	i.t.Helper()
	c := i.as(testRecipients[0])
	response, err := c.Do(i.t.Context(), "GET", "/filetransfer/"+id+"/download", "", nil)
	require.NoError(i.t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(i.t, http.StatusOK, response.StatusCode)
	h := sha256.New()
	size, err = io.Copy(h, response.Body)
	require.NoError(i.t, err)
	return hex.EncodeToString(h.Sum(nil)), size
}

// holds requires that a transfer is published and that every byte of it is right.
func (i *installation) holds(id, sum string, size int64) {
	i.t.Helper()
	require.Equal(i.t, "Published", i.status(id))
	gotSum, gotSize := i.downloaded(id)
	require.Equal(i.t, size, gotSize)
	require.Equal(i.t, sum, gotSum)
}
