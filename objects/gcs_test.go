package objects

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iterator"

	"github.com/formidling/formidling/internal/gcsemu"
)

const testBucket = "objects"

// newGCS returns a store in an emulator of its own.
func newGCS(t *testing.T) (*gcs, *gcsemu.Server, bench) {
	t.Helper()
	emu, url := startEmulator(t)
	g := dial(t, url)
	return g, emu, gcsBench(g, true)
}

func startEmulator(tb testing.TB) (*gcsemu.Server, string) {
	tb.Helper()
	emu, err := gcsemu.New(tb.TempDir())
	require.NoError(tb, err)
	require.NoError(tb, emu.CreateBucket(testBucket))
	server := httptest.NewServer(emu)
	tb.Cleanup(server.Close)
	return emu, server.URL
}

// dial returns a store that gives up in seconds where production has minutes.
func dial(tb testing.TB, url string) *gcs {
	tb.Helper()
	store, err := Connect(tb.Context(), "gs://"+testBucket, Options{Emulator: url})
	require.NoError(tb, err)
	g, ok := store.(*gcs)
	require.True(tb, ok)
	g.limits.transfer, g.limits.stall = 20*time.Second, 20*time.Second
	return g
}

func gcsBench(g *gcs, large bool) bench {
	return bench{
		store:    g,
		large:    large,
		checksum: true,
		list:     func(t *testing.T, prefix string) []string { t.Helper(); return objectsBelow(t, g, prefix) },
		leftover: func(t *testing.T, key string) {
			t.Helper()
			d := draftObject{name: key + "/MARK/part-000000", mark: "MARK", data: [][]byte{[]byte("x")}}
			_, err := g.create(t.Context(), d)
			require.NoError(t, err)
		},
	}
}

// objectsBelow lists the object of prefix and all under it, segments too.
func objectsBelow(t *testing.T, g *gcs, prefix string) []string {
	t.Helper()
	var names []string
	objects := g.bucket.Objects(t.Context(), &storage.Query{Prefix: prefix})
	for {
		attrs, err := objects.Next()
		if errors.Is(err, iterator.Done) {
			return names
		}
		require.NoError(t, err)
		if attrs.Name == prefix || strings.HasPrefix(attrs.Name, prefix+"/") {
			names = append(names, attrs.Name)
		}
	}
}

func TestGCS_ConformsOnOurEmulator(t *testing.T) {
	t.Parallel()
	_, _, b := newGCS(t)
	conform(t, b)
}

// A second opinion by a server that others wrote. It keeps everything in memory several times over, so objects are
// small; our own emulator checks the preconditions that it does not.
func TestGCS_ConformsOnFakeGCSServer(t *testing.T) {
	t.Parallel()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1", PublicHost: "127.0.0.1"})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: testBucket})
	conform(t, gcsBench(dial(t, server.URL()), false))
}
