package transfers

import (
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/receipts"
	"github.com/formidling/formidling/store/registry"
)

// Transfers is the room of transfers; it is safe for concurrent use.
type Transfers struct {
	db       *db.DB
	registry *registry.Registry
	receipts *receipts.Receipts
	uploads  int // of one organisation at once, at all replicas; 0: no bound
}

// New opens the room. uploads bounds how many one organisation has running at once, at all replicas; 0: nothing does.
func New(d *db.DB, r *registry.Registry, e *receipts.Receipts, uploads int) *Transfers {
	return &Transfers{db: d, registry: r, receipts: e, uploads: uploads}
}
