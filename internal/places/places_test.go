package places

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlaces_BoundAllAndEach(t *testing.T) {
	t.Parallel()
	p := New[string](3, 2)
	first, room := p.Take("a")
	require.Equal(t, Free, room)
	_, room = p.Take("a")
	require.Equal(t, Free, room)
	leave, room := p.Take("a")
	require.Equal(t, FullOfKey, room)
	require.Nil(t, leave)
	_, room = p.Take("b")
	require.Equal(t, Free, room)
	_, room = p.Take("c")
	require.Equal(t, FullOfAll, room)
	_, room = p.Take("a")
	require.Equal(t, FullOfKey, room, "its own share is what it can do something about")
	first()
	_, room = p.Take("c")
	require.Equal(t, Free, room)
	all, of := p.Taken("a")
	require.Equal(t, []int{3, 1}, []int{all, of})
	require.Equal(t, 2, p.Each())
}

func TestPlaces_WithoutBoundsAreNeverFull(t *testing.T) {
	t.Parallel()
	p := New[int](0, 0)
	for range 1000 {
		_, room := p.Take(1)
		require.Equal(t, Free, room)
	}
}

func TestPlaces_LeavingTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	p := New[string](2, 0)
	leave, _ := p.Take("a")
	_, room := p.Take("a")
	require.Equal(t, Free, room)
	leave()
	leave()
	all, of := p.Taken("a")
	require.Equal(t, []int{1, 1}, []int{all, of})
}

func TestBoth_TakesTwoPlacesOrNone(t *testing.T) {
	t.Parallel()
	hosts, parties := New[string](0, 2), New[int](0, 1)
	leave, free := Both(hosts, "h", parties, 1)
	require.True(t, free)
	_, free = Both(hosts, "h", parties, 1)
	require.False(t, free)
	_, of := hosts.Taken("h")
	require.Equal(t, 1, of, "the place that was found first was given back")
	_, free = Both(hosts, "h", parties, 2)
	require.True(t, free)
	_, free = Both(hosts, "h", parties, 3)
	require.False(t, free)
	leave()
	_, free = Both(hosts, "h", parties, 1)
	require.True(t, free)
}

func TestPlaces_AreCountedRightUnderConcurrency(t *testing.T) {
	t.Parallel()
	p := New[int](10, 4)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for range 200 {
				if leave, room := p.Take(i % 5); room == Free {
					if all, of := p.Taken(i % 5); all > 10 || of > 4 {
						t.Error(all, of)
					}
					leave()
				}
			}
		})
	}
	wg.Wait()
	all, _ := p.Taken(0)
	require.Zero(t, all)
	require.Zero(t, p.Keys(), "who has none is forgotten")
}
