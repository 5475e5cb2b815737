package store

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
	"gorm.io/gorm"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
)

// replica is another process on the bundle's database, which listens.
func (b *bundle) replica(t *testing.T) *Store {
	t.Helper()
	s, err := Open(b.url, Options{Now: b.clock.read})
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
func (b *bundle) listening(t *testing.T, s *Store) {
	t.Helper()
	id := b.accept(t, bob)
	nobody := models.Party("0192:999999999")
	wake, stop := s.WatchEvents(nobody)
	defer stop()
	require.Eventually(t, func() bool {
		b.tell(t, id, svc, notice{nobody, models.RoleSender, models.EventPublished})
		select {
		case <-wake:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	}, 20*time.Second, time.Millisecond)
}

func TestWatchEvents_IsWokenByTheProcessThatWrote(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		wake, stop := b.WatchEvents(bob)
		other, stopOther := b.WatchEvents(carol)
		id := b.accept(t, bob)
		quiet(t, wake)
		require.NoError(t, b.DeliverTransfer(t.Context(), id, b.stage(t, id), 0))
		woken(t, wake, 0*time.Second+time.Second)
		quiet(t, other)
		require.Error(t, b.transact(t.Context(), "fail", func(tx *gorm.DB) error {
			err := appendEvents(tx, models.Transfer{ID: id, ResourceID: svc}, b.Store.clock(), []notice{{bob, models.RoleSender, models.EventPurged}})
			return errors.Join(err, errors.New("rolled back"))
		}))
		quiet(t, wake)
		stop()
		stopOther()
		require.Empty(t, b.watchers.of)
	})
}

func TestWatchEvents_IsWokenByOtherProcesses(t *testing.T) {
	t.Parallel()
	b := setup(t, testenv.Postgres(t))
	r := b.replica(t)
	b.listening(t, r)
	id := b.accept(t, bob)
	wake, stop := r.WatchEvents(bob)
	defer stop()
	other, stopOther := r.WatchEvents(carol)
	defer stopOther()
	began := time.Now()
	b.tell(t, id, svc, notice{bob, models.RoleSender, models.EventPublished})
	woken(t, wake, recheckEvery/3)
	require.Less(t, time.Since(began), recheckEvery/3)
	quiet(t, other)

	// whoever listened in vain meanwhile is woken when the connection is there again
	require.NoError(t, b.write.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN formidling_events' AND datname = current_database()").Error)
	woken(t, other, recheckEvery/3)
	b.listening(t, r)

	// a message holds many names, and may be one of several
	var notices []notice
	for i := range 2*insertBatch + 1 {
		notices = append(notices, notice{models.Norwegian(fmt.Sprintf("4%08d", i)), models.RoleRecipient, models.EventPublished})
	}
	last, stopLast := r.WatchEvents(notices[len(notices)-1].to)
	defer stopLast()
	b.tell(t, id, svc, notices...)
	woken(t, last, recheckEvery/3)
}

func TestWatchEvents_FindsWhatNobodyToldItOf(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.accept(t, bob)
		wake, stop := b.WatchEvents(alice)
		defer stop()
		idle, stopIdle := b.WatchEvents(carol)
		defer stopIdle()
		require.NoError(t, b.recheck(t.Context()))
		woken(t, wake, time.Second)
		quiet(t, idle)
		require.NoError(t, b.recheck(t.Context()))
		quiet(t, wake)
		// as by a process that was killed right after its commit
		require.NoError(t, b.write.Transaction(func(tx *gorm.DB) error {
			return appendEvents(tx, models.Transfer{ID: id, ResourceID: svc}, b.Store.clock(), []notice{{alice, models.RoleSender, models.EventPurged}})
		}))
		quiet(t, wake)
		require.NoError(t, b.recheck(t.Context()))
		woken(t, wake, time.Second)
	})
}

// Whoever stores the last event that it read sees every event once, in order, with several writers in several
// processes, of which some give up in the middle, and readers that come back at another process.
func TestEventsAfter_TellsEveryEventOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"postgres": testenv.Postgres(t), "sqlite": "sqlite:" + filepath.Join(t.TempDir(), "test.db")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, url)
			replicas := []*Store{b.Store}
			if name == "postgres" {
				replicas = append(replicas, b.replica(t), b.replica(t))
			}
			id := b.accept(t, bob) // alice's first event
			const writers, each = 8, 60
			parties := []models.Party{alice, bob, carol}
			var mu sync.Mutex
			written := map[models.Party]int{alice: 1}
			var writing, reading sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					for i := range each {
						telling := parties[:1+rand.IntN(3)]
						if i%7 == 6 {
							telling = nil
						}
						s := replicas[(w+i)%len(replicas)]
						err := s.transact(background, "tell", func(tx *gorm.DB) error {
							var notices []notice
							for _, p := range telling {
								notices = append(notices, notice{p, models.RoleRecipient, models.EventPublished})
							}
							if i%7 == 6 {
								notices = []notice{{bob, models.RoleRecipient, models.EventPurged}}
							}
							err := appendEvents(tx, models.Transfer{ID: id, ResourceID: svc}, s.clock(), notices)
							time.Sleep(rand.N(2 * time.Millisecond)) // numbers are taken, nothing is committed
							if i%7 == 6 {
								err = errors.Join(err, errGaveUp)
							}
							return err
						})
						if i%7 == 6 {
							require.ErrorIs(t, err, errGaveUp)
							continue
						}
						require.NoError(t, err)
						mu.Lock()
						for _, p := range telling {
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

// follow reads as a client does that stores the id of the last event, forgets everything else and starts again
// elsewhere, until all that was written is read.
func follow(t *testing.T, b *bundle, replicas []*Store, p models.Party, done <-chan struct{}, written func() int) {
	var last int64
	seen := map[uuid.UUID]bool{}
	for round := 0; ; round++ {
		s := replicas[rand.IntN(len(replicas))]
		wake, stop := s.WatchEvents(p)
		events, err := s.EventsAfter(background, p, last, models.EventFilter{}, 1+rand.IntN(20))
		if err == nil && len(events) == 0 {
			select {
			case <-done:
				if len(seen) == written() {
					stop()
					all, err := b.EventsAfter(background, p, 0, models.EventFilter{}, 10_000)
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
