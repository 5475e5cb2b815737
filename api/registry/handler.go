package registry

import (
	"time"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// Ports is what the room needs of the rest of the program.
type Ports struct {
	Services Services
	Store    Store
	Now      func() time.Time
}

// Handler answers the operations on services, rights and identities.
type Handler struct {
	Ports
	environment string // what GET /serviceowner calls this installation
}

// New makes the handlers of the registry.
func New(p Ports, environment string) *Handler {
	return &Handler{Ports: p, environment: environment}
}

// termsOf reads the terms of a grant or a connection.
func termsOf(b contract.TermsUpdate) (models.Terms, error) {
	t := models.Terms{
		Effect: models.EffectAllow, MaySend: web.Value(b.Send), MayReceive: web.Value(b.Receive),
		ReplyOnly: web.Value(b.ReplyOnly), AcceptsReplies: web.Value(b.AcceptsReplies),
	}
	if b.Effect != nil {
		t.Effect = models.Effect(*b.Effect)
	}
	var err error
	t.ValidFrom, t.ValidTo, err = web.Validity(b.ValidFrom, b.ValidTo)
	return t, err
}

// service reads the id of a service from a path.
func service(id string) (string, error) { return models.ResourceID(id), models.CheckResourceID(id) }
