package feed_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/feed"
	"github.com/formidling/formidling/store/storetest"
)

// replica is another process on the bundle's database, which listens.
func replica(b *storetest.Bundle, t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(b.DB().URL(), store.Options{Now: b.Clock.Read})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.ListenForEvents(ctx, func(error) {})
	}()
	t.Cleanup(func() { stop(); <-ended })
	return s
}

func woken(t *testing.T, wake <-chan struct{}, within time.Duration) {
	t.Helper()
	select {
	case <-wake:
	case <-time.After(within):
		require.Fail(t, "nobody woke the one who waits")
	}
}

func quiet(t *testing.T, wake <-chan struct{}) {
	t.Helper()
	select {
	case <-wake:
		require.Fail(t, "it was woken for nothing")
	default:
	}
}

// listening waits until a replica hears what others write.
func listening(b *storetest.Bundle, t *testing.T, s *store.Store) {
	t.Helper()
	id := b.Accept(t, storetest.Bob)
	nobody := models.Party("0192:999999999")
	wake, stop := s.WatchEvents(nobody)
	defer stop()
	require.Eventually(t, func() bool {
		b.Notices(t, id, storetest.Service, models.Notice{To: nobody, Role: models.RoleSender, Type: models.EventPublished})
		select {
		case <-wake:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	}, 20*time.Second, time.Millisecond)
}

func TestWatchEvents_IsWokenByTheProcessThatWrote(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		wake, stop := b.WatchEvents(storetest.Bob)
		other, stopOther := b.WatchEvents(storetest.Carol)
		id := b.Accept(t, storetest.Bob)
		quiet(t, wake)
		require.NoError(t, b.DeliverTransfer(t.Context(), id, b.Stage(t, id), 0))
		woken(t, wake, time.Second)
		quiet(t, other)
		require.Error(t, b.DB().Transact(t.Context(), "fail", func(tx *db.Tx) error {
			tx.Event(models.Notice{To: storetest.Bob, Role: models.RoleSender, Type: models.EventPurged, Transfer: id, Resource: storetest.Service})
			return errors.New("rolled back")
		}))
		quiet(t, wake)
		stop()
		stopOther()
		watched, _ := b.Watched()
		require.Zero(t, watched)
	})
}

func TestWatchEvents_IsWokenByOtherProcesses(t *testing.T) {
	t.Parallel()
	b := storetest.Setup(t, testenv.Postgres(t))
	r := replica(b, t)
	listening(b, t, r)
	id := b.Accept(t, storetest.Bob)
	wake, stop := r.WatchEvents(storetest.Bob)
	defer stop()
	other, stopOther := r.WatchEvents(storetest.Carol)
	defer stopOther()
	began := time.Now()
	b.Notices(t, id, storetest.Service, models.Notice{To: storetest.Bob, Role: models.RoleSender, Type: models.EventPublished})
	woken(t, wake, feed.RecheckEvery/3)
	require.Less(t, time.Since(began), feed.RecheckEvery/3)
	quiet(t, other)

	// whoever listened in vain meanwhile is woken when the connection is there again
	require.NoError(t, b.DB().Write(t.Context()).Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN formidling_events' AND datname = current_database()").Error)
	woken(t, other, feed.RecheckEvery/3)
	listening(b, t, r)

	// a message holds many names, and may be one of several
	var notices []models.Notice
	for i := range 2*db.InsertBatch + 1 {
		notices = append(notices, models.Notice{To: models.Norwegian(fmt.Sprintf("4%08d", i)), Role: models.RoleRecipient, Type: models.EventPublished})
	}
	last, stopLast := r.WatchEvents(notices[len(notices)-1].To)
	defer stopLast()
	b.Notices(t, id, storetest.Service, notices...)
	woken(t, last, feed.RecheckEvery/3)
}

func TestWatchEvents_FindsWhatNobodyToldItOf(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Accept(t, storetest.Bob)
		wake, stop := b.WatchEvents(storetest.Alice)
		defer stop()
		idle, stopIdle := b.WatchEvents(storetest.Carol)
		defer stopIdle()
		require.NoError(t, b.Recheck(t.Context()))
		woken(t, wake, time.Second)
		quiet(t, idle)
		require.NoError(t, b.Recheck(t.Context()))
		quiet(t, wake)
		stop()
		wake, stop = b.WatchEvents(storetest.Alice)
		defer stop()
		require.NoError(t, b.Recheck(t.Context()))
		quiet(t, wake)
		// as by a process that was killed right after its commit
		dies := db.Writers{Events: b.Feed.Write}
		b.DB().Use(dies)
		b.Notices(t, id, storetest.Service, models.Notice{To: storetest.Alice, Role: models.RoleSender, Type: models.EventPurged})
		quiet(t, wake)
		require.NoError(t, b.Recheck(t.Context()))
		woken(t, wake, time.Second)
		stop()
		stopIdle()
		require.NoError(t, b.Recheck(t.Context()))
		_, seen := b.Watched()
		require.Zero(t, seen)
	})
}

// Whoever stores the last event that it read sees every event once, in order, with several writers in several
// processes, of which some give up in the middle, and readers that come back at another process.
func TestEventsAfter_TellsEveryEventOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"postgres": testenv.Postgres(t), "sqlite": "sqlite:" + filepath.Join(t.TempDir(), "test.db")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := storetest.Setup(t, url)
			replicas := []*store.Store{b.Store}
			if name == "postgres" {
				replicas = append(replicas, replica(b, t), replica(b, t))
			}
			id := b.Accept(t, storetest.Bob) // alice's first event
			for _, s := range replicas {
				slowly(s)
			}
			const writers, each = 8, 60
			parties := []models.Party{storetest.Alice, storetest.Bob, storetest.Carol}
			var mu sync.Mutex
			written := map[models.Party]int{storetest.Alice: 1}
			var writing, reading sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					for i := range each {
						notifying := parties[:1+rand.IntN(3)]
						if i%7 == 6 {
							notifying = nil
						}
						s := replicas[(w+i)%len(replicas)]
						err := s.DB().Transact(context.Background(), "notify", func(tx *db.Tx) error {
							for _, p := range notifying {
								tx.Event(models.Notice{To: p, Role: models.RoleRecipient, Type: models.EventPublished, Transfer: id, Resource: storetest.Service})
							}
							if i%7 == 6 {
								tx.Event(models.Notice{To: storetest.Bob, Role: models.RoleRecipient, Type: models.EventPurged, Transfer: id, Resource: storetest.Service})
							}
							return nil
						})
						if i%7 == 6 {
							require.ErrorIs(t, err, errGaveUp)
							continue
						}
						require.NoError(t, err)
						mu.Lock()
						for _, p := range notifying {
							written[p]++
						}
						mu.Unlock()
					}
				})
			}
			done := make(chan struct{})
			for _, p := range parties {
				reading.Go(func() {
					follow(t, b, replicas, p, done, func() int { mu.Lock(); defer mu.Unlock(); return written[p] })
				})
			}
			writing.Wait()
			close(done)
			reading.Wait()
		})
	}
}

var errGaveUp = errors.New("gave up")

// slowly has a store commit as on a slow disk, and give a transaction up that tells of a purge, after its numbers were taken.
func slowly(s *store.Store) {
	s.DB().Use(db.Writers{Receipts: s.Receipts.Write, Notified: s.Notify, Events: func(tx *db.Tx, notices []models.Notice) error {
		err := s.Feed.Write(tx, notices)
		time.Sleep(rand.N(2 * time.Millisecond)) // numbers are taken, nothing is committed
		for _, n := range notices {
			if n.Type == models.EventPurged {
				err = errors.Join(err, errGaveUp)
			}
		}
		return err
	}})
}

// follow reads as a client does that stores the id of the last event, forgets everything else and starts again
// elsewhere, until all that was written is read.
func follow(t *testing.T, b *storetest.Bundle, replicas []*store.Store, p models.Party, done <-chan struct{}, written func() int) {
	var last int64
	seen := map[uuid.UUID]bool{}
	for round := 0; ; round++ {
		s := replicas[rand.IntN(len(replicas))]
		wake, stop := s.WatchEvents(p)
		events, err := s.EventsAfter(context.Background(), p, last, models.EventFilter{}, 1+rand.IntN(20))
		if err == nil && len(events) == 0 {
			select {
			case <-done:
				if len(seen) == written() {
					stop()
					all, err := b.EventsAfter(context.Background(), p, 0, models.EventFilter{}, 10_000)
					require.NoError(t, err)
					require.Len(t, all, len(seen))
					return
				}
			case <-wake:
			case <-time.After(100 * time.Millisecond):
			}
		}
		stop()
		require.NoError(t, err)
		for i, e := range events[:len(events)-rand.IntN(len(events)+1)] { // the rest dies with the client
			require.Equal(t, last+1, e.Seq, "event %d of round %d", i, round)
			require.False(t, seen[e.ID], "it was told twice")
			last, seen[e.ID] = e.Seq, true
		}
	}
}
