package registry

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// listInPath refuses whose list it is not: an owner administers its own lists only.
func listInPath(c *gin.Context, owner contract.ListOwner, identifier string) error {
	p, err := models.ParseOrganisation(owner)
	if err != nil {
		return models.InvalidField("owner", models.PartyRule)
	}
	if p != web.Caller(c) {
		return models.ErrNoAccess
	}
	return models.CheckListID(identifier)
}

// ListAccessLists lists the access lists of the caller.
func (h *Handler) ListAccessLists(c *gin.Context, owner contract.ListOwner, params contract.ListAccessListsParams) {
	err := listInPath(c, owner, "any")
	var p web.Page
	if err == nil {
		p, err = web.PageOf(params.Cursor, params.Limit)
	}
	var rows []models.AccessList
	if err == nil {
		rows, err = h.Store.AccessLists(c.Request.Context(), web.Caller(c), p.After, p.Limit+1)
	}
	web.Finish(c, err, func() {
		rows, next := web.Cut(c, rows, p, func(l models.AccessList) string { return l.ID })
		out := contract.AccessListPage{Links: links(next), Data: make([]contract.AccessList, len(rows))}
		for i, l := range rows {
			out.Data[i] = accessListOf(l)
		}
		c.JSON(http.StatusOK, out)
	})
}

// links tell where the next page is, as Altinn's resource registry does.
func links(next string) contract.PageLinks {
	if next == "" {
		return contract.PageLinks{}
	}
	return contract.PageLinks{Next: &next}
}

// GetAccessList reads a list of the caller.
func (h *Handler) GetAccessList(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier) {
	err := listInPath(c, owner, identifier)
	var l models.AccessList
	if err == nil {
		l, err = h.Store.AccessListOf(c.Request.Context(), web.Caller(c), identifier)
	}
	web.Finish(c, err, func() { web.Entry(c, http.StatusOK, l.Version, accessListOf(l)) })
}

// PutAccessList makes a list of the caller, or changes its name and description.
func (h *Handler) PutAccessList(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.PutAccessListParams) {
	var body contract.AccessListUpdate
	err := listInPath(c, owner, identifier)
	if err == nil {
		err = web.ReadJSON(c, &body, true)
	}
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	l := models.AccessList{ID: identifier, Name: body.Name, Description: web.Value(body.Description)}
	var created bool
	if err == nil {
		l, created, err = h.Store.PutAccessList(c.Request.Context(), web.Actor(c), l, cond)
	}
	web.Finish(c, err, func() { web.Entry(c, web.PutStatus(created), l.Version, accessListOf(l)) })
}

// DeleteAccessList deletes a list of the caller, and with it what its members may do by it.
func (h *Handler) DeleteAccessList(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.DeleteAccessListParams) {
	err := listInPath(c, owner, identifier)
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	if err == nil {
		err = h.Store.DeleteAccessList(c.Request.Context(), web.Actor(c), identifier, cond)
	}
	web.Finish(c, err, func() { c.Status(http.StatusNoContent) })
}

func accessListOf(l models.AccessList) contract.AccessList {
	return contract.AccessList{
		Identifier: l.ID, Name: l.Name, Description: l.Description, CreatedAt: l.Created.UTC(), UpdatedAt: l.Updated.UTC(), Etag: web.Tag(l.Version),
	}
}
