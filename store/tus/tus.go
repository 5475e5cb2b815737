package tus

import (
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/registry"
	"github.com/formidling/formidling/store/transfers"
)

// Tus is the room of uploads in several requests; it is safe for concurrent use.
type Tus struct {
	db        *db.DB
	registry  *registry.Registry
	transfers *transfers.Transfers
}

// New opens the room.
func New(d *db.DB, r *registry.Registry, t *transfers.Transfers) *Tus {
	return &Tus{db: d, registry: r, transfers: t}
}
