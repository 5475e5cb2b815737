package gcsemu_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/require"
)

// parts stores n objects and returns their handles and their joined content.
func (b *bundle) parts(t *testing.T, n int) ([]*storage.ObjectHandle, []byte) {
	t.Helper()
	var handles []*storage.ObjectHandle
	var whole []byte
	for i := range n {
		content := random(1000 + i)
		name := fmt.Sprintf("part/%02d", i)
		b.put(t, name, content)
		handles = append(handles, b.bucket.Object(name))
		whole = append(whole, content...)
	}
	return handles, whole
}

func TestServer_ComposesUpTo32Objects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts, whole := b.parts(t, 33)
	c := b.bucket.Object("whole").ComposerFrom(parts[:32]...)
	c.ContentType = "text/x-test"
	attrs, err := c.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(32), attrs.ComponentCount)
	require.Equal(t, "text/x-test", attrs.ContentType)
	b.requireContent(t, "whole", whole[:attrs.Size])

	in := bytes.Repeat([]byte(`{"name":"part/00"},`), 33)
	body := fmt.Appendf(nil, `{"sourceObjects":[%s]}`, bytes.TrimSuffix(in, []byte(",")))
	at := b.url + "/storage/v1/b/files/o/more/compose"
	require.Equal(t, http.StatusBadRequest, b.send(t, http.MethodPost, at, nil, body).status)
	require.Equal(t, http.StatusBadRequest, b.send(t, http.MethodPost, at, nil, []byte(`{}`)).status)
}

func TestServer_GivesCompositeObjectsNoMD5(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts, whole := b.parts(t, 2)
	attrs, err := b.bucket.Object("whole").ComposerFrom(parts...).Run(t.Context())
	require.NoError(t, err)
	require.Empty(t, attrs.MD5)
	require.Equal(t, crcOf(whole), attrs.CRC32C)

	again, err := b.bucket.Object("again").ComposerFrom(b.bucket.Object("whole"), parts[0]).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(3), again.ComponentCount)

	copied, err := b.bucket.Object("copy").CopierFrom(b.bucket.Object("whole")).Run(t.Context())
	require.NoError(t, err)
	require.Empty(t, copied.MD5)
}

func TestServer_RefusesToComposeOntoWhatExists(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts, whole := b.parts(t, 2)
	b.put(t, "whole", []byte("first"))
	o := b.bucket.Object("whole")
	_, err := o.If(storage.Conditions{DoesNotExist: true}).ComposerFrom(parts...).Run(t.Context())
	requireStatus(t, err, http.StatusPreconditionFailed)
	b.requireContent(t, "whole", []byte("first"))
	attrs, err := o.Attrs(t.Context())
	require.NoError(t, err)
	_, err = o.If(storage.Conditions{GenerationMatch: attrs.Generation}).ComposerFrom(parts...).Run(t.Context())
	require.NoError(t, err)
	b.requireContent(t, "whole", whole)
}

func TestServer_ComposesOnlyTheSourcesThatWereNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts, _ := b.parts(t, 2)
	old, err := parts[0].Attrs(t.Context())
	require.NoError(t, err)
	now := b.put(t, "part/00", []byte("newer"))

	o := b.bucket.Object("whole")
	_, err = o.ComposerFrom(parts[0].If(storage.Conditions{GenerationMatch: old.Generation})).Run(t.Context())
	requireStatus(t, err, http.StatusPreconditionFailed)
	_, err = o.ComposerFrom(parts[0].Generation(old.Generation)).Run(t.Context())
	require.ErrorIs(t, err, storage.ErrObjectNotExist)
	_, err = o.ComposerFrom(parts[1], b.bucket.Object("absent")).Run(t.Context())
	require.ErrorIs(t, err, storage.ErrObjectNotExist)
	b.requireAbsent(t, "whole")

	match := parts[0].If(storage.Conditions{GenerationMatch: now.Generation})
	_, err = o.ComposerFrom(match, parts[0].Generation(now.Generation)).Run(t.Context())
	require.NoError(t, err)
	b.requireContent(t, "whole", []byte("newernewer"))
}

func TestServer_DeletesTheSourcesOfAComposeThatAsksForIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts, whole := b.parts(t, 3)
	c := b.bucket.Object("whole").If(storage.Conditions{DoesNotExist: true}).ComposerFrom(parts...)
	c.DeleteSourceObjects = true
	_, err := c.Run(t.Context())
	require.NoError(t, err)
	b.requireContent(t, "whole", whole)
	for _, p := range parts {
		b.requireAbsent(t, p.ObjectName())
	}
}

func TestServer_AppendsToAnObjectByComposing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "log", []byte("one,"))
	b.put(t, "more", []byte("two"))
	c := b.bucket.Object("log").ComposerFrom(b.bucket.Object("log"), b.bucket.Object("more"))
	c.DeleteSourceObjects = true
	_, err := c.Run(t.Context())
	require.NoError(t, err)
	b.requireContent(t, "log", []byte("one,two"))
	b.requireAbsent(t, "more")
}

func TestServer_DeletesNoSourceThatIsHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts, _ := b.parts(t, 2)
	_, err := parts[1].Update(t.Context(), storage.ObjectAttrsToUpdate{TemporaryHold: true})
	require.NoError(t, err)
	c := b.bucket.Object("whole").ComposerFrom(parts...)
	c.DeleteSourceObjects = true
	_, err = c.Run(t.Context())
	requireStatus(t, err, http.StatusForbidden)
	b.requireAbsent(t, "whole")
	_, err = parts[0].Attrs(t.Context())
	require.NoError(t, err)
	requireNoDrafts(t, b.dir)
}

func TestServer_ChecksTheDeclaredChecksumOfAComposite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	parts, whole := b.parts(t, 2)
	c := b.bucket.Object("whole").ComposerFrom(parts...)
	c.SendCRC32C, c.CRC32C = true, 1
	_, err := c.Run(t.Context())
	requireStatus(t, err, http.StatusBadRequest)
	b.requireAbsent(t, "whole")
	c.CRC32C = crcOf(whole)
	_, err = c.Run(t.Context())
	require.NoError(t, err)
}

func TestServer_Rewrites(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.emu.CreateBucket("other"))
	content := random(block + 1)
	err := upload(t.Context(), b.bucket.Object("from"), kinds[1], content, func(w *storage.Writer) {
		w.ContentType = "text/x-test"
	})
	require.NoError(t, err)
	to := b.client.Bucket("other").Object("to/rewriteTo/b/x/o/y")
	attrs, err := to.If(storage.Conditions{DoesNotExist: true}).CopierFrom(b.bucket.Object("from")).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "text/x-test", attrs.ContentType)
	require.Equal(t, md5Of(content), attrs.MD5)
	p, err := read(t.Context(), to)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, p))

	_, err = to.If(storage.Conditions{DoesNotExist: true}).CopierFrom(b.bucket.Object("from")).Run(t.Context())
	requireStatus(t, err, http.StatusPreconditionFailed)
	wrong := b.bucket.Object("from").If(storage.Conditions{GenerationMatch: 1})
	_, err = to.CopierFrom(wrong).Run(t.Context())
	requireStatus(t, err, http.StatusPreconditionFailed)
	c := to.CopierFrom(b.bucket.Object("from"))
	c.ContentType = "text/other"
	attrs, err = c.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "text/other", attrs.ContentType)
}

// A sparse object stays sparse, wherever its holes are.
func TestServer_ComposesSparseObjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const block = 256 << 10
	zeros, data := make([]byte, 3*block), random(block+17)
	var parts []*storage.ObjectHandle
	var whole []byte
	for i, content := range [][]byte{data, zeros, append(append(bytes.Clone(zeros), data...), zeros...), nil, data[:5], zeros[:7]} {
		name := fmt.Sprintf("part/%d", i)
		b.put(t, name, content)
		parts = append(parts, b.bucket.Object(name))
		whole = append(whole, content...)
	}
	attrs, err := b.bucket.Object("whole").ComposerFrom(parts...).Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, crcOf(whole), attrs.CRC32C)
	b.requireContent(t, "whole", whole)
}
