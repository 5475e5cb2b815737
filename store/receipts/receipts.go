package receipts

import (
	"sync"

	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/registry"
)

// Receipts is the room of receipts; it is safe for concurrent use.
type Receipts struct {
	db       *db.DB
	registry *registry.Registry
	signer   Signer   // nil: what must be receipted is signed after the transaction that says so
	unsigned sync.Map // transfers of which the signer left something
}

// New opens the room.
func New(d *db.DB, r *registry.Registry) *Receipts { return &Receipts{db: d, registry: r} }
