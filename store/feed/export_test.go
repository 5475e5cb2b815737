package feed

import "context"

// RecheckEvery is how often events are looked for that nobody woke the watchers for.
const RecheckEvery = recheckEvery

// Recheck looks for them now.
func (f *Feed) Recheck(ctx context.Context) error { return f.recheck(ctx) }

// Watched counts the organisations that somebody watches, and those of which it is known where they are.
func (f *Feed) Watched() (watched, seen int) {
	f.watchers.mu.Lock()
	defer f.watchers.mu.Unlock()
	return len(f.watchers.of), len(f.watchers.seen)
}
