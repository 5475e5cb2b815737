package semaphore

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeyed_BoundAllAndEach(t *testing.T) {
	t.Parallel()
	p := New[string](3, 2)
	first, outcome := p.Acquire("a")
	require.Equal(t, Free, outcome)
	_, outcome = p.Acquire("a")
	require.Equal(t, Free, outcome)
	release, outcome := p.Acquire("a")
	require.Equal(t, FullOfKey, outcome)
	require.Nil(t, release)
	_, outcome = p.Acquire("b")
	require.Equal(t, Free, outcome)
	_, outcome = p.Acquire("c")
	require.Equal(t, FullOfAll, outcome)
	_, outcome = p.Acquire("a")
	require.Equal(t, FullOfKey, outcome, "its own share is what it can do something about")
	first()
	_, outcome = p.Acquire("c")
	require.Equal(t, Free, outcome)
	all, of := p.Taken("a")
	require.Equal(t, []int{3, 1}, []int{all, of})
	require.Equal(t, 2, p.Each())
}

func TestKeyed_WithoutBoundsAreNeverFull(t *testing.T) {
	t.Parallel()
	p := New[int](0, 0)
	for range 1000 {
		_, outcome := p.Acquire(1)
		require.Equal(t, Free, outcome)
	}
}

func TestKeyed_LeavingTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	p := New[string](2, 0)
	release, _ := p.Acquire("a")
	_, outcome := p.Acquire("a")
	require.Equal(t, Free, outcome)
	release()
	release()
	all, of := p.Taken("a")
	require.Equal(t, []int{1, 1}, []int{all, of})
}

func TestBoth_AcquiresTwoOrNone(t *testing.T) {
	t.Parallel()
	hosts, parties := New[string](0, 2), New[int](0, 1)
	release, free := Both(hosts, "h", parties, 1)
	require.True(t, free)
	_, free = Both(hosts, "h", parties, 1)
	require.False(t, free)
	_, of := hosts.Taken("h")
	require.Equal(t, 1, of, "the place that was found first was given back")
	_, free = Both(hosts, "h", parties, 2)
	require.True(t, free)
	_, free = Both(hosts, "h", parties, 3)
	require.False(t, free)
	release()
	_, free = Both(hosts, "h", parties, 1)
	require.True(t, free)
}

func TestKeyed_AreCountedRightUnderConcurrency(t *testing.T) {
	t.Parallel()
	p := New[int](10, 4)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for range 200 {
				if release, outcome := p.Acquire(i % 5); outcome == Free {
					if all, of := p.Taken(i % 5); all > 10 || of > 4 {
						t.Error(all, of)
					}
					release()
				}
			}
		})
	}
	wg.Wait()
	all, _ := p.Taken(0)
	require.Zero(t, all)
	require.Zero(t, p.Keys(), "who has none is forgotten")
}
