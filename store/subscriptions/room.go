package subscriptions

import (
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/registry"
)

// Subscriptions is the room of webhook subscriptions; it is safe for concurrent use.
type Subscriptions struct {
	db       *db.DB
	registry *registry.Registry
}

// New opens the room.
func New(d *db.DB, r *registry.Registry) *Subscriptions { return &Subscriptions{db: d, registry: r} }
