package client

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestWatch_TellsOfEachStateUntilAllHaveConfirmed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish([]byte("content"), func(t *Transfer) { t.Recipients = []string{"0192:" + bob, "0192:" + carol} })
	states := make(chan FileTransferOverview, 100)
	done := make(chan error, 1)
	go func() {
		_, err := b.as(alice).Watch(t.Context(), id, WatchOptions{Until: UntilConfirmed, Changed: func(t FileTransferOverview) { states <- t }})
		done <- err
	}()
	require.Equal(t, FileTransferStatusPublished, (<-states).FileTransferStatus)
	for _, who := range []string{bob, carol} {
		_, err := b.as(who).ReceiveFile(t.Context(), id, FileOptions{Directory: t.TempDir(), Confirm: true})
		require.NoError(t, err)
	}
	require.NoError(t, <-done)
	require.NotEmpty(t, states)
}

func TestWatch_EndsWithTheTransfer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish([]byte("content"))
	require.NoError(t, b.as(alice).Cancel(t.Context(), id))
	require.NoError(t, b.as(alice).Cancel(t.Context(), id), "again is success")
	_, err := b.as(alice).Watch(t.Context(), id, WatchOptions{Until: UntilConfirmed})
	require.ErrorIs(t, err, ErrEnded)
	state, err := b.as(alice).Watch(t.Context(), id, WatchOptions{})
	require.NoError(t, err)
	require.Equal(t, FileTransferStatusCancelled, state.FileTransferStatus)
	_, err = b.as(alice).Watch(t.Context(), uuid.New(), WatchOptions{})
	require.ErrorIs(t, err, ErrNotFound)
}

func TestInbox_HoldsWhatIsNotConfirmed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list := func() (ids []FileTransferID) {
		for transfer, err := range b.as(bob).Inbox(t.Context(), b.service) {
			require.NoError(t, err)
			ids = append(ids, transfer.FileTransferID)
		}
		return ids
	}
	require.Empty(t, list())
	one, two := b.publish([]byte("1")), b.publish([]byte("2"))
	require.Equal(t, []FileTransferID{one, two}, list())
	b.delivers(one, []byte("1"))
	require.Equal(t, []FileTransferID{two, one}, list(), "downloading is not receiving")
	require.NoError(t, b.as(bob).Confirm(t.Context(), one))
	require.NoError(t, b.as(bob).Confirm(t.Context(), one), "again is success")
	require.Equal(t, []FileTransferID{two}, list())

	for _, err := range b.as(bob).Inbox(t.Context(), "no-such-service") {
		require.ErrorIs(t, err, ErrUnauthorized)
	}
}

func TestInbox_HasMoreThanAPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	limit, found := 2, 0
	for range 5 {
		b.publish(nil)
	}
	for _, err := range b.as(alice).Search(t.Context(), SearchFileTransfersParams{ResourceID: b.service, Limit: &limit}) {
		require.NoError(t, err)
		found++
	}
	require.Equal(t, 5, found)
}

func TestFollowInbox_TellsOfEachTransferOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.publish([]byte("before"))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var after FileTransferID
	var ids []FileTransferID
	for transfer, err := range b.as(bob).FollowInbox(ctx, b.service) {
		if err != nil {
			require.ErrorIs(t, err, errOurs)
			break
		}
		ids = append(ids, transfer.FileTransferID)
		switch len(ids) {
		case 1:
			after = b.publish([]byte("after"))
		case 2:
			cancel(errOurs)
		}
	}
	require.Equal(t, []FileTransferID{before, after}, ids)
}

func TestInbox_NamesATransferOnceThatIsDownloadedMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := b.publish([]byte("1")), b.publish([]byte("2"))
	var ids []FileTransferID
	for transfer, err := range b.as(bob).Inbox(t.Context(), b.service) {
		require.NoError(t, err)
		ids = append(ids, transfer.FileTransferID)
		_, err := b.as(bob).ReceiveFile(t.Context(), transfer.FileTransferID, FileOptions{Directory: t.TempDir()})
		require.NoError(t, err)
	}
	require.Equal(t, []FileTransferID{one, two}, ids)
}

// feedOf counts the questions to the event feed and answers the first ones itself, with a status. What it returns is told
// of each question that the broker may hold back.
func (p *proxy) feedOf(status int, first int64) (asked *atomic.Int64, held chan struct{}) {
	asked, held = &atomic.Int64{}, make(chan struct{}, 100)
	p.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/events/api/v1/events" {
			return false
		}
		if asked.Add(1) <= first {
			w.WriteHeader(status)
			return true
		}
		if r.URL.Query().Get("wait") != "0" {
			held <- struct{}{}
		}
		return false
	})
	return asked, held
}

func TestFollowInbox_ComesBackToTheFeedAfterAFaultThatPasses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.proxy()
	asked, held := p.feedOf(http.StatusServiceUnavailable, 2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found := make(chan FileTransferID, 1)
	go func() {
		for transfer, err := range b.through(bob, p).FollowInbox(ctx, b.service) {
			if err == nil {
				found <- transfer.FileTransferID
			}
		}
	}()
	select {
	case <-held:
	case <-ctx.Done():
		require.Fail(t, "the feed was never listened to", "asked %d times", asked.Load())
	}
	require.Equal(t, b.publish([]byte("content")), <-found)
}

func TestFollowInbox_LooksFromTimeToTimeWhereThereIsNoFeed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.proxy()
	asked, _ := p.feedOf(http.StatusNotFound, 1)
	id := b.publish([]byte("before"))
	var ids []FileTransferID
	for transfer, err := range b.through(bob, p).FollowInbox(t.Context(), b.service) {
		require.NoError(t, err)
		if ids = append(ids, transfer.FileTransferID); len(ids) == 2 {
			break
		}
		id = b.publish([]byte("after"))
	}
	require.Equal(t, id, ids[1])
	require.EqualValues(t, 1, asked.Load())
}
