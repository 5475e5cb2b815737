package gcsemu_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
)

// readers are the two APIs that the client reads through.
func readers(t *testing.T, b *bundle) map[string]*storage.BucketHandle {
	t.Helper()
	json := dial(t, b.url, storage.WithJSONReads()).Bucket("files")
	return map[string]*storage.BucketHandle{"XML": b.bucket, "JSON": json}
}

func TestServer_ReadsRanges(t *testing.T) {
	t.Parallel()
	b, content := setup(t), random(1000)
	b.put(t, "a", content)
	for api, bucket := range readers(t, b) {
		for _, c := range []struct{ offset, length, from, to int64 }{
			{0, -1, 0, 1000},
			{0, 10, 0, 10},
			{990, -1, 990, 1000},
			{-10, -1, 990, 1000},
			{100, 200, 100, 300},
			{900, 500, 900, 1000},
			{0, 0, 0, 0},
		} {
			p, err := readRange(t.Context(), bucket.Object("a"), c.offset, c.length)
			require.NoError(t, err, api)
			require.Len(t, p, int(c.to-c.from), api)
			require.Equal(t, string(content[c.from:c.to]), string(p), api)
		}
		_, err := readRange(t.Context(), bucket.Object("a"), 1000, 10)
		requireStatus(t, err, http.StatusRequestedRangeNotSatisfiable)
	}
}

func TestServer_ReadsOnlyTheGenerationThatWasNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.put(t, "a", []byte("first")).Generation
	live := b.put(t, "a", []byte("second"))
	require.Greater(t, live.Generation, old)
	for api, bucket := range readers(t, b) {
		o := bucket.Object("a")
		_, err := read(t.Context(), o.Generation(old))
		require.ErrorIs(t, err, storage.ErrObjectNotExist, api)
		_, err = read(t.Context(), o.If(storage.Conditions{GenerationMatch: old}))
		requireStatus(t, err, http.StatusPreconditionFailed)
		_, err = read(t.Context(), o.If(storage.Conditions{MetagenerationMatch: 2}))
		requireStatus(t, err, http.StatusPreconditionFailed)
		p, err := read(t.Context(), o.Generation(live.Generation).If(storage.Conditions{MetagenerationMatch: 1}))
		require.NoError(t, err, api)
		require.Equal(t, "second", string(p))
	}
	_, err := b.bucket.Object("a").If(storage.Conditions{GenerationNotMatch: live.Generation}).Attrs(t.Context())
	requireStatus(t, err, http.StatusNotModified)
	_, err = b.bucket.Object("a").If(storage.Conditions{GenerationMatch: old}).Attrs(t.Context())
	requireStatus(t, err, http.StatusPreconditionFailed)
	_, err = b.bucket.Object("a").If(storage.Conditions{MetagenerationNotMatch: 2}).Attrs(t.Context())
	require.NoError(t, err)
}

func TestServer_RefusesAConditionThatIsNoNumber(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "a", nil)
	for _, query := range []string{"ifGenerationMatch=x", "ifMetagenerationNotMatch=", "generation=x"} {
		at := b.url + "/storage/v1/b/files/o/a?" + query
		require.Equal(t, http.StatusBadRequest, b.send(t, http.MethodGet, at, nil, nil).status, query)
	}
}

func TestServer_FinishesAReadOfAnObjectThatIsReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	b, content := setup(t), random(8<<20)
	b.put(t, "a", content)
	r, err := b.bucket.Object("a").NewReader(t.Context())
	require.NoError(t, err)
	b.put(t, "a", []byte("second"))
	n := int64(0)
	for buf := make([]byte, 1<<20); err == nil; {
		var m int
		m, err = r.Read(buf)
		n += int64(m)
	}
	require.Equal(t, int64(len(content)), n)
	require.NoError(t, r.Close())
}

func TestServer_DeletesOnlyTheGenerationThatWasNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.put(t, "a", []byte("first")).Generation
	live := b.put(t, "a", []byte("second")).Generation
	o := b.bucket.Object("a")
	requireStatus(t, o.If(storage.Conditions{GenerationMatch: old}).Delete(t.Context()), http.StatusPreconditionFailed)
	require.ErrorIs(t, o.Generation(old).Delete(t.Context()), storage.ErrObjectNotExist)
	require.NoError(t, o.If(storage.Conditions{GenerationMatch: live}).Delete(t.Context()))
	b.requireAbsent(t, "a")
	require.ErrorIs(t, o.Delete(t.Context()), storage.ErrObjectNotExist)
}

func TestServer_UpdatesOnlyWhatTheClientNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.put(t, "a", []byte("content"))
	o := b.bucket.Object("a")
	match := o.If(storage.Conditions{MetagenerationMatch: 1})
	after, err := match.Update(t.Context(), storage.ObjectAttrsToUpdate{
		ContentType: "text/x-test", Metadata: map[string]string{"a": "1", "b": "2"},
	})
	require.NoError(t, err)
	require.Equal(t, int64(2), after.Metageneration)
	require.Equal(t, before.Generation, after.Generation)
	_, err = match.Update(t.Context(), storage.ObjectAttrsToUpdate{ContentType: "text/late"})
	requireStatus(t, err, http.StatusPreconditionFailed)

	after, err = o.Update(t.Context(), storage.ObjectAttrsToUpdate{Metadata: map[string]string{"a": "3"}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "3", "b": "2"}, after.Metadata)
	require.Equal(t, "text/x-test", after.ContentType)
	after, err = o.Update(t.Context(), storage.ObjectAttrsToUpdate{ContentType: "", Metadata: map[string]string{}})
	require.NoError(t, err)
	require.Empty(t, after.Metadata)
	require.Empty(t, after.ContentType)
	b.requireContent(t, "a", []byte("content"))

	at := b.url + "/storage/v1/b/files/o/a"
	a := b.send(t, http.MethodPatch, at, nil, []byte(`{"size":"1","generation":"1","name":"b"}`))
	require.Equal(t, "7", a.object(t)["size"])
	require.Equal(t, "a", a.object(t)["name"])
}

func TestServer_ClearsWhatAFullUpdateDoesNotName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "a", []byte("content"))
	at := b.url + "/storage/v1/b/files/o/a"
	b.send(t, http.MethodPatch, at, nil, []byte(`{"cacheControl":"no-store","metadata":{"k":"v"}}`))
	a := b.send(t, http.MethodPut, at, nil, []byte(`{"contentType":"text/x-test"}`)).object(t)
	require.Equal(t, "text/x-test", a["contentType"])
	require.NotContains(t, a, "cacheControl")
	require.NotContains(t, a, "metadata")
	require.Equal(t, "3", a["metageneration"])
	for _, body := range []string{`{"metadata":{"k":1}}`, `{"temporaryHold":"yes"}`, `[]`} {
		require.Equal(t, http.StatusBadRequest, b.send(t, http.MethodPatch, at, nil, []byte(body)).status, body)
	}
}

func TestServer_KeepsAnObjectThatIsHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, held := range map[string]storage.ObjectAttrsToUpdate{
		"temporary":   {TemporaryHold: true},
		"event based": {EventBasedHold: true},
	} {
		gen := b.put(t, name, []byte("held")).Generation
		o := b.bucket.Object(name)
		attrs, err := o.Update(t.Context(), held)
		require.NoError(t, err)
		require.True(t, attrs.TemporaryHold || attrs.EventBasedHold)
		requireStatus(t, o.Delete(t.Context()), http.StatusForbidden)
		for _, k := range kinds {
			requireStatus(t, upload(t.Context(), o, k, random(k.size)), http.StatusForbidden)
		}
		free := storage.ObjectAttrsToUpdate{TemporaryHold: false, EventBasedHold: false}
		_, err = o.Update(t.Context(), free)
		require.NoError(t, err)
		require.NoError(t, o.If(storage.Conditions{GenerationMatch: gen}).Delete(t.Context()))
	}
}

func names(it *storage.ObjectIterator) ([]string, error) {
	var all []string
	for {
		attrs, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, attrs.Name)
	}
}

func TestServer_ListsByPrefixAndPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("tmp/%d & more", i)
		b.put(t, name, nil)
		want = append(want, name)
	}
	b.put(t, "other", nil)
	it := b.bucket.Objects(t.Context(), &storage.Query{Prefix: "tmp/"})
	it.PageInfo().MaxSize = 3
	got, err := names(it)
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = names(b.bucket.Objects(t.Context(), &storage.Query{StartOffset: "tmp/2", EndOffset: "tmp/4"}))
	require.NoError(t, err)
	require.Equal(t, want[2:4], got)
	got, err = names(b.bucket.Objects(t.Context(), &storage.Query{Prefix: "none"}))
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = names(b.client.Bucket("absent").Objects(t.Context(), nil))
	require.ErrorIs(t, err, storage.ErrBucketNotExist)
	_, err = names(b.bucket.Objects(t.Context(), &storage.Query{Delimiter: "/"}))
	requireStatus(t, err, http.StatusBadRequest)
}

func TestServer_KeepsNamesThatLookLikePaths(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{
		"a/o/b", "a/compose", "compose", "o", "/o", "a//b", "a/../b", "//", "x/rewriteTo/b/files/o/y",
		"100%25 %2F", "æøå ?&#+", "storage/v1/b/files/o/x", `"quoted"`, ".../.",
	} {
		content := []byte("content of " + name)
		b.put(t, name, content)
		b.requireContent(t, name, content)
		o := b.bucket.Object(name)
		_, err := o.ComposerFrom(o, o).Run(t.Context())
		require.NoError(t, err, name)
		b.requireContent(t, name, append(content, content...))
		require.NoError(t, o.Delete(t.Context()), name)
	}
}

func TestServer_CreatesBuckets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bucket := b.client.Bucket("new-one")
	_, err := bucket.Attrs(t.Context())
	require.ErrorIs(t, err, storage.ErrBucketNotExist)
	require.Error(t, upload(t.Context(), bucket.Object("a"), kinds[0], nil))
	require.NoError(t, bucket.Create(t.Context(), "project", nil))
	attrs, err := bucket.Attrs(t.Context())
	require.NoError(t, err)
	require.Equal(t, "new-one", attrs.Name)
	require.WithinDuration(t, time.Now(), attrs.Created, time.Minute)
	var e *googleapi.Error
	require.ErrorAs(t, bucket.Create(t.Context(), "project", nil), &e)
	require.Equal(t, http.StatusConflict, e.Code)
	require.NoError(t, b.emu.CreateBucket("new-one"), "creating it again from Go is not an error")
}

func TestServer_AnswersWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for at, status := range map[string]int{
		"GET /storage/v1/b/files/o/a/b":                               http.StatusNotFound,
		"GET /files/absent":                                           http.StatusNotFound,
		"POST /upload/storage/v1/b/files/o?uploadType=other&name=a":   http.StatusBadRequest,
		"POST /upload/storage/v1/b/absent/o?uploadType=media&name=a":  http.StatusNotFound,
		"PUT /upload/storage/v1/b/files/o?upload_id=unknown":          http.StatusNotFound,
		"DELETE /upload/storage/v1/b/files/o?upload_id=unknown":       http.StatusNotFound,
		"DELETE /storage/v1/b/files":                                  http.StatusMethodNotAllowed,
		"POST /upload/storage/v1/b/files/o?uploadType=multipart":      http.StatusBadRequest,
		"POST /storage/v1/b/files/o/x/compose":                        http.StatusBadRequest,
		"POST /storage/v1/b/files/o/absent/rewriteTo/b/files/o/x":     http.StatusNotFound,
		"POST /storage/v1/b/files/o/absent/rewriteTo/b/elsewhere/o/x": http.StatusNotFound,
	} {
		var method, path string
		_, err := fmt.Sscan(at, &method, &path)
		require.NoError(t, err)
		require.Equal(t, status, b.send(t, method, b.url+path, nil, nil).status, at)
	}
}
