package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSend_PublishesEverySizeAndWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, tc := range map[string]struct {
		size  int
		once  bool
		parts int
		way   Way
	}{
		"nothing":               {size: 0},
		"nothing, read once":    {size: 0, once: true},
		"small":                 {size: 1000},
		"small, read once":      {size: 1000, once: true},
		"plain":                 {size: 12 << 20, way: WayPlain},
		"plain, read once":      {size: 12 << 20, way: WayPlain, once: true},
		"large":                 {size: 12<<20 + 7},
		"large, read once":      {size: 20<<20 + 7, once: true},
		"two whole pieces":      {size: 16 << 20, once: true},
		"in parallel parts":     {size: 12<<20 + 7, parts: 4},
		"parts of few bytes":    {size: 5, parts: 4, way: WayTus},
		"more parts than bytes": {size: 2, parts: 4, way: WayTus},
		"nothing in pieces":     {size: 0, way: WayTus},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := noise(tc.size)
			source := FromReaderAt(bytes.NewReader(content), int64(tc.size))
			if tc.once {
				source = FromReader(onlyReader{bytes.NewReader(content)})
			}
			var mu sync.Mutex
			var last Progress
			sent, err := b.as(alice).Send(t.Context(), b.transfer(), source, SendOptions{Way: tc.way, Parts: tc.parts, Progress: func(p Progress) {
				mu.Lock()
				defer mu.Unlock()
				last = p
			}})
			require.NoError(t, err)
			require.Equal(t, sum(content), sent.SHA256)
			require.EqualValues(t, tc.size, sent.Size)
			require.Equal(t, FileTransferStatusPublished, sent.Status)
			if tc.size > 0 {
				require.EqualValues(t, tc.size, last.Done)
				require.Equal(t, sent.ID, last.Transfer)
			}
			b.delivers(sent.ID, content)
		})
	}
}

func TestSend_DeclaresTheChecksum(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(1000)
	wrong := b.transfer(func(t *Transfer) { t.SHA256 = strings.Repeat("0", 64) })
	for _, way := range []Way{WayPlain, WayTus} {
		_, err := b.as(alice).Send(t.Context(), wrong, FromReaderAt(bytes.NewReader(content), 1000), SendOptions{Way: way})
		require.ErrorIs(t, err, ErrChecksum, way)
	}
	var declared string
	_, err := b.as(alice).Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(content), 1000), SendOptions{Save: func(c Checkpoint) error {
		declared = c.SHA256
		return nil
	}})
	require.NoError(t, err)
	require.Equal(t, sum(content), declared)
}

func TestSend_SeesThatOtherBytesArrived(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.proxy()
	p.answers(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/upload") {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("X"), &skipping{Reader: r.Body, skip: 1}))
		}
		return false
	})
	content := noise(1000)
	_, err := b.through(alice, p).Send(t.Context(), b.transfer(), FromReader(onlyReader{bytes.NewReader(content)}), SendOptions{Way: WayPlain})
	require.ErrorIs(t, err, ErrChecksum)
	_, err = b.through(alice, p).Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(content), 1000), SendOptions{})
	require.ErrorIs(t, err, ErrChecksum)
}

// skipping leaves out the first bytes of a reader.
type skipping struct {
	io.Reader
	skip int64
}

func (s *skipping) Read(p []byte) (int, error) {
	if s.skip > 0 {
		n := s.skip
		s.skip = 0
		if _, err := io.CopyN(io.Discard, s.Reader, n); err != nil {
			return 0, err
		}
	}
	return s.Reader.Read(p)
}

func TestSend_WaitsWhileTheBrokerAsksForIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.proxy()
	var refusals sync.Map
	p.answers(func(w http.ResponseWriter, r *http.Request) bool {
		key := r.Method + " " + r.URL.Path
		if _, before := refusals.LoadOrStore(key, true); before || r.URL.Path == "/oauth2/token" {
			return false
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	var mu sync.Mutex
	var pauses []time.Duration
	c := b.through(alice, p, func(o *Options) {
		o.Retry.Notify = func(_ error, pause time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			pauses = append(pauses, pause)
		}
	})
	content := noise(1000)
	sent, err := c.Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(content), 1000), SendOptions{})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(pauses), 4, "me, initialize, upload and overview were refused once each")
	for _, pause := range pauses {
		require.Equal(t, time.Second, pause)
	}
	b.delivers(sent.ID, content)
}

func TestSend_GoesOnOverBrokenConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(20<<20 + 3)
	for name, o := range map[string]SendOptions{"one connection": {}, "parallel parts": {Parts: 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := b.link()
			l.up.Store(3 << 20)
			sent, err := b.as(alice, func(o *Options) { o.URL = l.url }).Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(content), int64(len(content))), o)
			require.NoError(t, err)
			require.Positive(t, l.broken.Load())
			b.delivers(sent.ID, content)
		})
	}
	t.Run("read once", func(t *testing.T) {
		t.Parallel()
		l := b.link()
		l.up.Store(3 << 20)
		sent, err := b.as(alice, func(o *Options) { o.URL = l.url }).Send(t.Context(), b.transfer(), FromReader(onlyReader{bytes.NewReader(content)}), SendOptions{})
		require.NoError(t, err)
		require.Positive(t, l.broken.Load())
		b.delivers(sent.ID, content)
	})
}

func TestSend_GoesOnFromACheckpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(24<<20 + 3)
	for name, parts := range map[string]int{"one connection": 1, "parallel parts": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var last Checkpoint
			ctx, cancel := context.WithCancelCause(t.Context())
			o := SendOptions{Parts: parts, Save: func(c Checkpoint) error { last = c; return nil }}
			o.Progress = func(p Progress) {
				if p.Phase == PhaseUpload && p.Done > 14<<20 {
					cancel(errOurs)
				}
			}
			source := FromReaderAt(bytes.NewReader(content), int64(len(content)))
			_, err := b.as(alice).Send(ctx, b.transfer(), source, o)
			require.ErrorIs(t, err, errOurs)
			require.NotNil(t, last.ID)
			require.Equal(t, sum(content), last.SHA256)

			b.stored(last)
			var resumed int64
			o.Resume = &last
			first := *last.ID
			o.Progress = func(p Progress) { resumed = max(resumed, p.Resumed) }
			sent, err := b.as(alice).Send(t.Context(), b.transfer(), source, o)
			require.NoError(t, err)
			require.Equal(t, first, sent.ID, "the same transfer")
			require.Positive(t, resumed)
			b.delivers(sent.ID, content)

			again, err := b.as(alice).Send(t.Context(), b.transfer(), source, o)
			require.NoError(t, err, "what was sent is sent")
			require.Equal(t, first, again.ID)
		})
	}
}

// stored waits until the broker has made something durable of an unfinished upload.
func (b *bundle) stored(c Checkpoint) {
	b.t.Helper()
	g := &sending{b: b.as(alice), id: *c.ID, row: Retry{}.begin()}
	uploads := []*tusUpload{{g: g, url: g.tusPath(), to: unknownLength}}
	if len(c.Parts) > 0 {
		uploads = nil
	}
	for _, part := range c.Parts {
		if part.URL != "" {
			uploads = append(uploads, &tusUpload{g: g, url: part.URL, to: unknownLength})
		}
	}
	require.Eventually(b.t, func() bool {
		return slices.ContainsFunc(uploads, func(u *tusUpload) bool {
			n, err := u.offset(b.t.Context())
			return err == nil && n > 0
		})
	}, 30*time.Second, 20*time.Millisecond)
}

func TestSend_SaysWhyItIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := bytes.NewReader(noise(10))
	var refused *Error
	_, err := b.as(stranger).Send(t.Context(), b.transfer(), FromReaderAt(content, 10), SendOptions{})
	require.ErrorIs(t, err, ErrUnauthorized)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "BRO-00006", refused.Code)
	require.NotEmpty(t, refused.TraceID)

	_, err = b.as(alice).Send(t.Context(), b.transfer(func(t *Transfer) { t.Recipients = nil; t.Reference = "" }), FromReaderAt(content, 10), SendOptions{})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusBadRequest, refused.Status)
	require.NotEmpty(t, refused.Fields)

	small := int64(5)
	_, err = Decode[struct{}](b.as(owner).API.PutResource(t.Context(), b.service, nil, ResourceUpdate{MaxFileTransferSize: &small}))
	require.NoError(t, err)
	_, err = b.as(alice).Send(t.Context(), b.transfer(), FromReaderAt(content, 10), SendOptions{Way: WayPlain})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, int64(5), *refused.Limit)

	_, err = b.as(alice).Send(t.Context(), b.transfer(), FromReaderAt(content, 10), SendOptions{Parts: maxParts + 1})
	require.ErrorContains(t, err, "parts")
}

func TestSend_StopsForAFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.as(alice).Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(noise(10)), 20), SendOptions{Way: WayPlain, Undeclared: true})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "it became shorter")
	require.NotErrorIs(t, err, ErrUnavailable)
	_, err = b.as(alice).Send(t.Context(), b.transfer(), FromReader(io.MultiReader(bytes.NewReader(noise(9<<20)), failing{})), SendOptions{})
	require.ErrorIs(t, err, errOurs)
	_, err = b.as(alice).Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(nil), 0), SendOptions{Save: func(Checkpoint) error { return errOurs }})
	require.ErrorIs(t, err, errOurs)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errOurs }

func TestSend_GivesUpWhenPatienceEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nowhere := b.as(alice, func(o *Options) { o.URL = "https://127.0.0.1:1"; o.Retry.Patience = 50 * time.Millisecond })
	_, err := nowhere.Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(nil), 0), SendOptions{})
	require.ErrorIs(t, err, ErrUnavailable)
	var broken *NetworkError
	require.ErrorAs(t, err, &broken)
}

func TestSend_MakesAPartAnewThatIsNoLongerThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(12 << 20)
	source := FromReaderAt(bytes.NewReader(content), int64(len(content)))
	var last Checkpoint
	ctx, cancel := context.WithCancelCause(t.Context())
	o := SendOptions{Parts: 3, Save: func(c Checkpoint) error { last = c; return nil }, Progress: func(p Progress) {
		if p.Phase == PhaseUpload && p.Done > 6<<20 {
			cancel(errOurs)
		}
	}}
	_, err := b.as(alice).Send(ctx, b.transfer(), source, o)
	require.ErrorIs(t, err, errOurs)
	require.Len(t, last.Parts, 3)
	gone := last.Parts[1].URL
	require.NotEmpty(t, gone)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, gone, nil)
	require.NoError(t, err)
	r.Header.Set("Tus-Resumable", tusVersion)
	_, err = Decode[struct{}](b.as(alice).Do(r))
	require.NoError(t, err)

	o.Resume, o.Progress = &last, nil
	sent, err := b.as(alice).Send(t.Context(), b.transfer(), source, o)
	require.NoError(t, err)
	require.NotEqual(t, gone, last.Parts[1].URL)
	b.delivers(sent.ID, content)
}
