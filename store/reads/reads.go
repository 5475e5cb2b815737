package reads

import (
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/feed"
	"github.com/formidling/formidling/store/registry"
)

// Reads is the room of questions; it is safe for concurrent use.
type Reads struct {
	db       *db.DB
	feed     *feed.Feed
	registry *registry.Registry
}

// New opens the room.
func New(d *db.DB, f *feed.Feed, r *registry.Registry) *Reads {
	return &Reads{db: d, feed: f, registry: r}
}
