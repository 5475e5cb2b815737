package registry

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// ListConnections lists the services that a list of the caller is connected to.
func (h *Handler) ListConnections(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier) {
	err := listInPath(c, owner, identifier)
	var rows []models.AccessListConnection
	if err == nil {
		rows, err = h.Store.AccessListConnections(c.Request.Context(), web.Caller(c), identifier)
	}
	web.Finish(c, err, func() {
		out := contract.ConnectionPage{Data: make([]contract.Connection, len(rows))}
		for i, n := range rows {
			out.Data[i] = connectionOf(n)
		}
		c.JSON(http.StatusOK, out)
	})
}

// connectionInPath reads which list and which service are meant.
func connectionInPath(c *gin.Context, owner contract.ListOwner, identifier, resource string) (models.AccessListConnection, error) {
	if err := listInPath(c, owner, identifier); err != nil {
		return models.AccessListConnection{}, err
	}
	id, err := service(resource)
	return models.AccessListConnection{ListID: identifier, ResourceID: id}, err
}

// GetConnection reads what the members of a list may do in a service.
func (h *Handler) GetConnection(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, resource contract.ResourceIdentifier) {
	n, err := connectionInPath(c, owner, identifier, resource)
	if err == nil {
		n, err = h.Store.AccessListConnectionOf(c.Request.Context(), web.Caller(c), n.ListID, n.ResourceID)
	}
	web.Finish(c, err, func() { web.Entry(c, http.StatusOK, n.Version, connectionOf(n)) })
}

// PutConnection lets the members of a list do something in a service; both are the caller'h.
func (h *Handler) PutConnection(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, resource contract.ResourceIdentifier, params contract.PutConnectionParams) {
	var body contract.TermsUpdate
	n, err := connectionInPath(c, owner, identifier, resource)
	if err == nil {
		err = web.ReadJSON(c, &body, true)
	}
	if err == nil {
		n.Terms, err = termsOf(body)
	}
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	var created bool
	if err == nil {
		n, created, err = h.Store.PutAccessListConnection(c.Request.Context(), web.Actor(c), n, cond)
	}
	web.Finish(c, err, func() { web.Entry(c, web.PutStatus(created), n.Version, connectionOf(n)) })
}

// DeleteConnection disconnects a list from a service.
func (h *Handler) DeleteConnection(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, resource contract.ResourceIdentifier, params contract.DeleteConnectionParams) {
	n, err := connectionInPath(c, owner, identifier, resource)
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	if err == nil {
		err = h.Store.DeleteAccessListConnection(c.Request.Context(), web.Actor(c), n.ListID, n.ResourceID, cond)
	}
	web.Finish(c, err, func() { c.Status(http.StatusNoContent) })
}

func connectionOf(n models.AccessListConnection) contract.Connection {
	return contract.Connection{
		ResourceIdentifier: n.ResourceID, Effect: contract.ConnectionEffect(n.Effect), Send: n.MaySend, Receive: n.MayReceive,
		ReplyOnly: n.ReplyOnly, AcceptsReplies: n.AcceptsReplies, ValidFrom: web.UTC(n.ValidFrom), ValidTo: web.UTC(n.ValidTo),
		Etag: web.Tag(n.Version), UpdatedAt: n.Updated.UTC(),
	}
}
