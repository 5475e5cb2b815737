package tus_test

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

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/tus"
	"github.com/formidling/formidling/models"
)

func TestTusParts_AreJoinedInTheOrderListed(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(1<<20 + 50)
	cuts := []int{0, 400_000, 400_001, 900_000, len(content)}
	for name, order := range map[string][]int{"as opened": {0, 1, 2, 3}, "backwards": {3, 2, 1, 0}, "mixed": {1, 0, 3, 2}} {
		id := b.Initialize()
		paths := make([]string, 4)
		for _, i := range order {
			paths[i] = b.Part(id, cuts[i+1]-cuts[i])
		}
		require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, id).FileTransferStatus)
		var all sync.WaitGroup
		for i, path := range paths {
			all.Go(func() {
				mid := (cuts[i] + cuts[i+1]) / 2
				if mid > cuts[i] {
					b.Patch(path, 0, content[cuts[i]:mid]).Is(http.StatusNoContent, "")
				}
				b.Patch(path, mid-cuts[i], content[mid:cuts[i+1]]).Is(http.StatusNoContent, "")
			})
		}
		all.Wait()
		listed := slices.Clone(paths)
		listed[1] = b.URL + paths[1]                               // tus-js-client sends absolute URLs
		listed[2] = strings.Replace(paths[2], "/partial/", "/", 1) // the older form (docs/reference/altinn-broker.md 1.4)
		r := b.Join(id, listed...).Is(http.StatusCreated, "")
		require.Equal(t, tus.Path+id, r.Header.Get("Location"), name)
		b.Arrives(id, content)
		b.Join(id, listed...).Is(http.StatusCreated, "")
		require.Equal(t, fmt.Sprint(len(content)), b.Offset(tus.Path+id))
		head := b.TusCall(alice, "HEAD", tus.Path+id, nil).Is(http.StatusOK, "")
		require.Equal(t, "final;"+strings.Join(paths, " "), head.Header.Get("Upload-Concat"))
		b.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").Is(http.StatusNoContent, "")
		require.NoError(t, b.Objects.DeleteAll(t.Context(), "ft/"+id))
	}
}

func TestTusParts_AreRefusedUnlessEachIsWholeOnceAndOfThisTransfer(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id, other := b.Initialize(), b.Initialize()
	whole, half, foreign := b.Part(id, 4), b.Part(id, 4), b.Part(other, 4)
	b.Patch(whole, 0, []byte("abcd")).Is(http.StatusNoContent, "")
	b.Patch(half, 0, []byte("ab")).Is(http.StatusNoContent, "")
	b.Patch(foreign, 0, []byte("wxyz")).Is(http.StatusNoContent, "")
	b.Join(id, whole, half).Is(http.StatusConflict, "FMD-00067")
	b.Join(id, whole, foreign).Is(http.StatusBadRequest, "FMD-00001")
	b.Join(id, strings.Replace(foreign, other, id, 1)).Is(http.StatusNotFound, "FMD-00062")
	b.Join(id, whole, whole).Is(http.StatusBadRequest, "FMD-00001")
	b.Join(id, whole, tus.Path+id+"/partial/3fa85f64-5717-4562-b3fc-2c963f66afa6").Is(http.StatusNotFound, "FMD-00062")
	for _, bad := range []string{"", "nonsense", "http://[", tus.Path + id, "/partial/x"} {
		b.Join(id, bad).Is(http.StatusBadRequest, "FMD-00001")
	}
	b.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Concat", "final;"+whole, "Upload-Length", "4").Is(http.StatusBadRequest, "FMD-00001")
	b.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Concat", "whatever", "Upload-Length", "4").Is(http.StatusBadRequest, "FMD-00001")
	b.Join(id, strings.TrimSpace(strings.Repeat(whole+" ", 251))).Is(http.StatusBadRequest, "FMD-00001")
	require.Equal(t, contract.FileTransferStatusUploadStarted, b.Overview(alice, id).FileTransferStatus, "nothing of it counted")

	b.Patch(half, 2, []byte("cd")).Is(http.StatusNoContent, "")
	gone := b.Part(id, 1)
	b.Patch(gone, 0, []byte("!")).Is(http.StatusNoContent, "")
	b.TusCall(alice, "DELETE", gone, nil).Is(http.StatusNoContent, "")
	b.Join(id, half, gone).Is(http.StatusGone, "FMD-00063")
	b.Join(id, half, whole).Is(http.StatusCreated, "")
	require.Equal(t, "abcdabcd", string(b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Raw))
	b.Join(id, whole, half).Is(http.StatusConflict, "BRO-00004")
	b.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Concat", "partial", "Upload-Length", "1").Is(http.StatusConflict, "BRO-00004")
	b.TusCall(alice, "HEAD", half, nil).Is(http.StatusGone, "")
}

func TestTusParts_AreTooLongTogether(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.OK(owner, "PUT", "/resource/"+svc, `{"maxFileTransferSize":1000}`)
	id := b.Initialize()
	first := b.Part(id, 600)
	limited := b.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Concat", "partial", "Upload-Length", "401")
	require.Equal(t, int64(1001), *limited.Is(http.StatusBadRequest, "BRO-00016").Problem().Actual)
	deferred := b.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Concat", "partial", "Upload-Defer-Length", "1").Is(http.StatusCreated, "").Header.Get("Location")
	b.Patch(first, 0, apitest.Noise(600)).Is(http.StatusNoContent, "")
	b.Patch(deferred, 0, apitest.Noise(500), "Upload-Length", "500").Is(http.StatusBadRequest, "BRO-00016")
	b.Patch(deferred, 0, apitest.Noise(401)).Is(http.StatusBadRequest, "BRO-00016")
	b.TusCall(alice, "PATCH", deferred, io.MultiReader(bytes.NewReader(apitest.Noise(401))), "Upload-Offset", "0").Is(http.StatusBadRequest, "BRO-00016")
	require.Equal(t, "0", b.Offset(deferred))
	another := b.TusCall(alice, "POST", tus.Path+id, nil, "Upload-Concat", "partial", "Upload-Defer-Length", "1").Is(http.StatusCreated, "").Header.Get("Location")
	b.Patch(another, 0, apitest.Noise(200)).Is(http.StatusNoContent, "")
	b.Patch(deferred, 0, apitest.Noise(201)).Is(http.StatusBadRequest, "BRO-00016")
	b.Patch(deferred, 0, apitest.Noise(200)).Is(http.StatusNoContent, "")
	b.Patch(deferred, 200, nil, "Upload-Length", "201").Is(http.StatusBadRequest, "BRO-00016")
	b.Patch(deferred, 200, nil, "Upload-Length", "200").Is(http.StatusNoContent, "")
	require.NotEqual(t, contract.FileTransferStatusPublished, b.Overview(alice, id).FileTransferStatus)
}

// Whoever was hashing when its process ended is not waited for.
func TestTusParts_ArePublishedThoughAnotherHoldsTheHashes(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	content := apitest.Noise(100_000)
	first, second := b.Part(id, 40_000), b.Part(id, 60_000)
	b.Patch(second, 0, content[40_000:]).Is(http.StatusNoContent, "")
	transfer := apitest.MustUUID(t, id)
	require.Eventually(t, func() bool { // as a process does that is killed now
		_, held, err := b.Store.HoldDigest(t.Context(), transfer, 2*time.Second)
		return err == nil && held
	}, apitest.WaitABit, apitest.Tick)
	b.Patch(first, 0, content[:40_000]).Is(http.StatusNoContent, "")
	b.Join(id, first, second).Is(http.StatusCreated, "")
	b.Arrives(id, content)
}

// A process that ends between the last byte and the publication leaves everything for whoever asks next.
func TestTus_APublicationThatWasCutOffIsTakenUpByWhoeverAsks(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(50_000)
	ways := map[string]func(id, path string){
		"head":  func(_, path string) { b.Offset(path) },
		"patch": func(_, path string) { b.Patch(path, len(content), nil).Is(http.StatusNoContent, "") },
	}
	for name, again := range ways {
		id, path := b.Open(len(content))
		b.Workflows.SetDown(models.ErrUnavailable)
		b.Patch(path, 0, content).Is(http.StatusServiceUnavailable, "FMD-00002")
		b.TusCall(alice, "HEAD", path, nil).Is(http.StatusServiceUnavailable, "")
		require.Equal(t, contract.FileTransferStatusUploadProcessing, b.Overview(alice, id).FileTransferStatus, name)
		b.Workflows.SetDown(nil)
		again(id, path)
		b.Arrives(id, content)
		b.TusCall(alice, "PATCH", path, strings.NewReader("x"), "Upload-Offset", fmt.Sprint(len(content))).Is(http.StatusRequestEntityTooLarge, "FMD-00066")
		b.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").Is(http.StatusNoContent, "")
		require.NoError(t, b.Objects.DeleteAll(t.Context(), "ft/"+id))
	}
}

func TestTus_ComputesNoMD5WhereTheServiceLeavesItOut(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Policy(`{"computeMd5":false}`)
	file := apitest.Noise(1<<20 + 7)
	whole, path := b.Open(len(file))
	b.Patch(path, 0, file[:1000]).Is(http.StatusNoContent, "")
	b.Patch(path, 1000, file[1000:]).Is(http.StatusNoContent, "")
	joined := b.Initialize()
	first, second := b.Part(joined, 1000), b.Part(joined, len(file)-1000)
	b.Patch(second, 0, file[1000:]).Is(http.StatusNoContent, "")
	b.Patch(first, 0, file[:1000]).Is(http.StatusNoContent, "")
	b.Join(joined, first, second).Is(http.StatusCreated, "")
	for _, id := range []string{whole, joined} {
		o := b.Overview(bob, id)
		require.Equal(t, contract.FileTransferStatusPublished, o.FileTransferStatus)
		require.Nil(t, o.Checksum)
		require.Equal(t, apitest.SHA256Hex(file), *o.Sha256)
	}
}

// Of the part after those that are complete, what has come is hashed before the rest is there.
func TestTusParts_AreHashedAsFarAsTheyHaveCome(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(90_000)
	id := b.Initialize()
	first, second, third := b.Part(id, 30_000), b.Part(id, 30_000), b.Part(id, 30_000)
	hashed := func() int64 {
		b.Server.HashAhead(t.Context(), apitest.MustUUID(t, id))
		d, held, err := b.Store.HoldDigest(t.Context(), apitest.MustUUID(t, id), time.Minute)
		require.NoError(t, err)
		if held {
			require.NoError(t, b.Store.SaveDigest(t.Context(), d, 0))
		}
		return d.Hashed
	}
	reaches := func(n int64) {
		t.Helper()
		require.Eventually(t, func() bool { return hashed() == n }, apitest.WaitABit, apitest.Tick)
	}
	b.Patch(second, 0, content[30_000:50_000]).Is(http.StatusNoContent, "")
	b.Patch(third, 0, content[60_000:]).Is(http.StatusNoContent, "")
	b.Patch(first, 0, content[:20_000]).Is(http.StatusNoContent, "")
	require.Zero(t, hashed(), "the first part is seen to by the request that brings it")
	b.Patch(first, 20_000, content[20_000:30_000]).Is(http.StatusNoContent, "")
	reaches(50_000)
	b.Patch(second, 20_000, content[50_000:55_000]).Is(http.StatusNoContent, "")
	reaches(55_000)
	b.TusCall(alice, "DELETE", second, nil).Is(http.StatusNoContent, "")
	again := b.Part(id, 30_000)
	b.Patch(again, 0, content[30_000:60_000]).Is(http.StatusNoContent, "")
	b.Join(id, first, again, third).Is(http.StatusCreated, "")
	b.Arrives(id, content)
}

// What is about to become the content may lie in one file with a part that was not joined: nobody writes there any more.
func TestTusParts_DoNotGrowOnceOthersWereJoined(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.FinishWait = 100 * time.Millisecond })
	release, held := b.Server.HoldHashing()
	require.True(t, held)
	content := apitest.Noise(100_000)
	id := b.Initialize()
	first, second, third := b.Part(id, 40_000), b.Part(id, 60_000), b.Part(id, 10_000)
	b.Patch(first, 0, content[:40_000]).Is(http.StatusNoContent, "")
	b.Patch(second, 0, content[40_000:]).Is(http.StatusNoContent, "")
	b.Join(id, first, second).Is(http.StatusCreated, "")
	b.Patch(third, 0, content[:10_000]).Is(http.StatusConflict, "BRO-00004")
	release()
	require.Eventually(t, func() bool {
		return b.Overview(alice, id).FileTransferStatus == contract.FileTransferStatusPublished
	}, apitest.WaitABit, apitest.Tick)
	b.Arrives(id, content)
	require.Eventually(t, func() bool { return len(b.Stored()) == 1 }, apitest.WaitABit, apitest.Tick, "only the object is left")
}
