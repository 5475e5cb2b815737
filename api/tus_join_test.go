package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// part opens a part of a transfer's upload.
func (b *bundle) part(id string, length int) string {
	b.t.Helper()
	path := b.openFor(id, length, "Upload-Concat", "partial")
	require.True(b.t, strings.HasPrefix(path, tusPath+id+"/partial/"), path)
	return path
}

func (b *bundle) join(id string, paths ...string) reply {
	b.t.Helper()
	return b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Concat", "final;"+strings.Join(paths, " "))
}

func TestTusParts_AreJoinedInTheOrderListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(1<<20 + 50)
	cuts := []int{0, 400_000, 400_001, 900_000, len(content)}
	for name, order := range map[string][]int{"as opened": {0, 1, 2, 3}, "backwards": {3, 2, 1, 0}, "mixed": {1, 0, 3, 2}} {
		id := b.initialize()
		paths := make([]string, 4)
		for _, i := range order {
			paths[i] = b.part(id, cuts[i+1]-cuts[i])
		}
		require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, id).FileTransferStatus)
		var all sync.WaitGroup
		for i, path := range paths {
			all.Go(func() {
				mid := (cuts[i] + cuts[i+1]) / 2
				if mid > cuts[i] {
					b.patch(path, 0, content[cuts[i]:mid]).is(http.StatusNoContent, "")
				}
				b.patch(path, mid-cuts[i], content[mid:cuts[i+1]]).is(http.StatusNoContent, "")
			})
		}
		all.Wait()
		listed := slices.Clone(paths)
		listed[1] = b.url + paths[1]                               // tus-js-client sends absolute URLs
		listed[2] = strings.Replace(paths[2], "/partial/", "/", 1) // the reference's older form
		r := b.join(id, listed...).is(http.StatusCreated, "")
		require.Equal(t, tusPath+id, r.Header.Get("Location"), name)
		b.arrives(id, content)
		b.join(id, listed...).is(http.StatusCreated, "")
		require.Equal(t, fmt.Sprint(len(content)), b.offset(tusPath+id))
		head := b.tusCall(alice, "HEAD", tusPath+id, nil).is(http.StatusOK, "")
		require.Equal(t, "final;"+strings.Join(paths, " "), head.Header.Get("Upload-Concat"))
		b.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").is(http.StatusNoContent, "")
		require.NoError(t, b.objects.DeleteAll(t.Context(), "ft/"+id))
	}
}

func TestTusParts_AreRefusedUnlessEachIsWholeOnceAndOfThisTransfer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, other := b.initialize(), b.initialize()
	whole, half, foreign := b.part(id, 4), b.part(id, 4), b.part(other, 4)
	b.patch(whole, 0, []byte("abcd")).is(http.StatusNoContent, "")
	b.patch(half, 0, []byte("ab")).is(http.StatusNoContent, "")
	b.patch(foreign, 0, []byte("wxyz")).is(http.StatusNoContent, "")
	b.join(id, whole, half).is(http.StatusConflict, "FMD-00067")
	b.join(id, whole, foreign).is(http.StatusBadRequest, "FMD-00001")
	b.join(id, strings.Replace(foreign, other, id, 1)).is(http.StatusNotFound, "FMD-00062")
	b.join(id, whole, whole).is(http.StatusBadRequest, "FMD-00001")
	b.join(id, whole, tusPath+id+"/partial/3fa85f64-5717-4562-b3fc-2c963f66afa6").is(http.StatusNotFound, "FMD-00062")
	for _, bad := range []string{"", "nonsense", "http://[", tusPath + id, "/partial/x"} {
		b.join(id, bad).is(http.StatusBadRequest, "FMD-00001")
	}
	b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Concat", "final;"+whole, "Upload-Length", "4").is(http.StatusBadRequest, "FMD-00001")
	b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Concat", "whatever", "Upload-Length", "4").is(http.StatusBadRequest, "FMD-00001")
	b.join(id, strings.TrimSpace(strings.Repeat(whole+" ", 251))).is(http.StatusBadRequest, "FMD-00001")
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.overview(alice, id).FileTransferStatus, "nothing of it counted")

	b.patch(half, 2, []byte("cd")).is(http.StatusNoContent, "")
	gone := b.part(id, 1)
	b.patch(gone, 0, []byte("!")).is(http.StatusNoContent, "")
	b.tusCall(alice, "DELETE", gone, nil).is(http.StatusNoContent, "")
	b.join(id, half, gone).is(http.StatusGone, "FMD-00063")
	b.join(id, half, whole).is(http.StatusCreated, "")
	require.Equal(t, "abcdabcd", string(b.call(bob, "GET", "/filetransfer/"+id+"/download", "").body))
	b.join(id, whole, half).is(http.StatusConflict, "BRO-00004")
	b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Concat", "partial", "Upload-Length", "1").is(http.StatusConflict, "BRO-00004")
	b.tusCall(alice, "HEAD", half, nil).is(http.StatusGone, "")
}

func TestTusParts_AreTooLongTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ok(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.initialize()
	first := b.part(id, 600)
	limited := b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Concat", "partial", "Upload-Length", "401")
	require.Equal(t, int64(1001), *limited.is(http.StatusBadRequest, "BRO-00016").problem().Actual)
	deferred := b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Concat", "partial", "Upload-Defer-Length", "1").is(http.StatusCreated, "").Header.Get("Location")
	b.patch(first, 0, noise(600)).is(http.StatusNoContent, "")
	b.patch(deferred, 0, noise(500), "Upload-Length", "500").is(http.StatusBadRequest, "BRO-00016")
	b.patch(deferred, 0, noise(401)).is(http.StatusBadRequest, "BRO-00016")
	b.tusCall(alice, "PATCH", deferred, io.MultiReader(bytes.NewReader(noise(401))), "Upload-Offset", "0").is(http.StatusBadRequest, "BRO-00016")
	require.Equal(t, "0", b.offset(deferred))
	another := b.tusCall(alice, "POST", tusPath+id, nil, "Upload-Concat", "partial", "Upload-Defer-Length", "1").is(http.StatusCreated, "").Header.Get("Location")
	b.patch(another, 0, noise(200)).is(http.StatusNoContent, "")
	b.patch(deferred, 0, noise(201)).is(http.StatusBadRequest, "BRO-00016")
	b.patch(deferred, 0, noise(200)).is(http.StatusNoContent, "")
	b.patch(deferred, 200, nil, "Upload-Length", "201").is(http.StatusBadRequest, "BRO-00016")
	b.patch(deferred, 200, nil, "Upload-Length", "200").is(http.StatusNoContent, "")
	require.NotEqual(t, contract.FileTransferStatusPublished, b.overview(alice, id).FileTransferStatus)
}

// Whoever was hashing when its process ended is not waited for.
func TestTusParts_ArePublishedThoughAnotherHoldsTheHashes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	content := noise(100_000)
	first, second := b.part(id, 40_000), b.part(id, 60_000)
	b.patch(second, 0, content[40_000:]).is(http.StatusNoContent, "")
	transfer := mustUUID(t, id)
	require.Eventually(t, func() bool { // as a process does that is killed now
		_, held, err := b.store.HoldDigest(t.Context(), transfer, 2*time.Second)
		return err == nil && held
	}, waitABit, tick)
	b.patch(first, 0, content[:40_000]).is(http.StatusNoContent, "")
	b.join(id, first, second).is(http.StatusCreated, "")
	b.arrives(id, content)
}

// A process that ends between the last byte and the publication leaves everything for whoever asks next.
func TestTus_APublicationThatWasCutOffIsTakenUpByWhoeverAsks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(50_000)
	ways := map[string]func(id, path string){
		"head":  func(_, path string) { b.offset(path) },
		"patch": func(_, path string) { b.patch(path, len(content), nil).is(http.StatusNoContent, "") },
	}
	for name, again := range ways {
		id, path := b.open(len(content))
		b.door.set(models.ErrUnavailable)
		b.patch(path, 0, content).is(http.StatusServiceUnavailable, "FMD-00002")
		b.tusCall(alice, "HEAD", path, nil).is(http.StatusServiceUnavailable, "")
		require.Equal(t, contract.FileTransferStatusUploadProcessing, b.overview(alice, id).FileTransferStatus, name)
		b.door.set(nil)
		again(id, path)
		b.arrives(id, content)
		b.tusCall(alice, "PATCH", path, strings.NewReader("x"), "Upload-Offset", fmt.Sprint(len(content))).is(http.StatusRequestEntityTooLarge, "FMD-00066")
		b.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").is(http.StatusNoContent, "")
		require.NoError(t, b.objects.DeleteAll(t.Context(), "ft/"+id))
	}
}

func TestTus_ComputesNoMD5WhereTheServiceLeavesItOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.policy(`{"computeMd5":false}`)
	file := noise(1<<20 + 7)
	whole, path := b.open(len(file))
	b.patch(path, 0, file[:1000]).is(http.StatusNoContent, "")
	b.patch(path, 1000, file[1000:]).is(http.StatusNoContent, "")
	joined := b.initialize()
	first, second := b.part(joined, 1000), b.part(joined, len(file)-1000)
	b.patch(second, 0, file[1000:]).is(http.StatusNoContent, "")
	b.patch(first, 0, file[:1000]).is(http.StatusNoContent, "")
	b.join(joined, first, second).is(http.StatusCreated, "")
	for _, id := range []string{whole, joined} {
		o := b.overview(bob, id)
		require.Equal(t, contract.FileTransferStatusPublished, o.FileTransferStatus)
		require.Nil(t, o.Checksum)
		require.Equal(t, sha256Hex(file), *o.Sha256)
	}
}

// Of the part after those that are complete, what has come is hashed before the rest is there.
func TestTusParts_AreHashedAsFarAsTheyHaveCome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(90_000)
	id := b.initialize()
	first, second, third := b.part(id, 30_000), b.part(id, 30_000), b.part(id, 30_000)
	hashed := func() int64 {
		b.server.hashAhead(t.Context(), mustUUID(t, id))
		d, held, err := b.store.HoldDigest(t.Context(), mustUUID(t, id), time.Minute)
		require.NoError(t, err)
		if held {
			require.NoError(t, b.store.SaveDigest(t.Context(), d, 0))
		}
		return d.Hashed
	}
	reaches := func(n int64) {
		t.Helper()
		require.Eventually(t, func() bool { return hashed() == n }, waitABit, tick)
	}
	b.patch(second, 0, content[30_000:50_000]).is(http.StatusNoContent, "")
	b.patch(third, 0, content[60_000:]).is(http.StatusNoContent, "")
	b.patch(first, 0, content[:20_000]).is(http.StatusNoContent, "")
	require.Zero(t, hashed(), "the first part is seen to by the request that brings it")
	b.patch(first, 20_000, content[20_000:30_000]).is(http.StatusNoContent, "")
	reaches(50_000)
	b.patch(second, 20_000, content[50_000:55_000]).is(http.StatusNoContent, "")
	reaches(55_000)
	b.tusCall(alice, "DELETE", second, nil).is(http.StatusNoContent, "")
	again := b.part(id, 30_000)
	b.patch(again, 0, content[30_000:60_000]).is(http.StatusNoContent, "")
	b.join(id, first, again, third).is(http.StatusCreated, "")
	b.arrives(id, content)
}

// What is about to become the content may lie in one file with a part that was not joined: nobody writes there any more.
func TestTusParts_DoNotGrowOnceOthersWereJoined(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.FinishWait = 100 * time.Millisecond })
	require.True(t, b.server.tusHashing.TryAcquire(hashAtOnce))
	content := noise(100_000)
	id := b.initialize()
	first, second, third := b.part(id, 40_000), b.part(id, 60_000), b.part(id, 10_000)
	b.patch(first, 0, content[:40_000]).is(http.StatusNoContent, "")
	b.patch(second, 0, content[40_000:]).is(http.StatusNoContent, "")
	b.join(id, first, second).is(http.StatusCreated, "")
	b.patch(third, 0, content[:10_000]).is(http.StatusConflict, "BRO-00004")
	b.server.tusHashing.Release(hashAtOnce)
	require.Eventually(t, func() bool {
		return b.overview(alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, waitABit, tick)
	b.arrives(id, content)
	require.Eventually(t, func() bool { return len(b.stored()) == 1 }, waitABit, tick, "only the object is left")
}
