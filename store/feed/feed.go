package feed

import (
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// Feed is the room of events; it is safe for concurrent use.
type Feed struct {
	db       *db.DB
	watchers watchers
	outbox   outbox
	notified chan []models.Party
}

// notifiedBuffer is how many transactions with events may wait for a reader of Notified. What does not fit is dropped:
// whoever listens looks for itself from time to time.
const notifiedBuffer = 1024

// New opens the room.
func New(d *db.DB) *Feed { return &Feed{db: d, notified: make(chan []models.Party, notifiedBuffer)} }

// Close waits until other processes were told of what was committed.
func (f *Feed) Close() { f.outbox.group.Wait() }

// Notified names the organisations that got events, after each commit of this process and of no other. Nothing waits for
// the reader, and a process that dies after a commit notifies nobody.
func (f *Feed) Notified() <-chan []models.Party { return f.notified }
