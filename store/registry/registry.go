package registry

import (
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// Registry is the room of services and rights; it is safe for concurrent use.
type Registry struct {
	db     *db.DB
	quotas models.Quotas
}

// New opens the room. Quotas bound what one organisation may keep.
func New(d *db.DB, quotas models.Quotas) *Registry { return &Registry{db: d, quotas: quotas} }

// Quotas bound what one organisation may keep.
func (s *Registry) Quotas() models.Quotas { return s.quotas }
