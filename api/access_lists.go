package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// listInPath refuses whose list it is not: an owner administers its own lists only.
func listInPath(c *gin.Context, owner contract.ListOwner, identifier string) error {
	p, err := models.ParseOrganisation(owner)
	if err != nil {
		return models.InvalidField("owner", models.PartyRule)
	}
	if p != caller(c) {
		return models.ErrNoAccess
	}
	return models.CheckListID(identifier)
}

// ListAccessLists lists the access lists of the caller.
func (s *Server) ListAccessLists(c *gin.Context, owner contract.ListOwner, params contract.ListAccessListsParams) {
	err := listInPath(c, owner, "any")
	var p page
	if err == nil {
		p, err = pageOf(params.Cursor, params.Limit)
	}
	var rows []models.AccessList
	if err == nil {
		rows, err = s.Registry.AccessLists(c.Request.Context(), caller(c), p.after, p.limit+1)
	}
	s.finish(c, err, func() {
		rows, next := cut(c, rows, p, func(l models.AccessList) string { return l.ID })
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
func (s *Server) GetAccessList(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier) {
	err := listInPath(c, owner, identifier)
	var l models.AccessList
	if err == nil {
		l, err = s.Registry.AccessListOf(c.Request.Context(), caller(c), identifier)
	}
	s.finish(c, err, func() { entry(c, http.StatusOK, l.Version, accessListOf(l)) })
}

// PutAccessList makes a list of the caller, or changes its name and description.
func (s *Server) PutAccessList(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.PutAccessListParams) {
	var body contract.AccessListUpdate
	err := listInPath(c, owner, identifier)
	if err == nil {
		err = readJSON(c, &body, true)
	}
	var cond models.Condition
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
	}
	l := models.AccessList{ID: identifier, Name: body.Name, Description: value(body.Description)}
	var created bool
	if err == nil {
		l, created, err = s.Registry.PutAccessList(c.Request.Context(), actor(c), l, cond)
	}
	s.finish(c, err, func() { entry(c, putStatus(created), l.Version, accessListOf(l)) })
}

// DeleteAccessList deletes a list of the caller, and with it what its members may do by it.
func (s *Server) DeleteAccessList(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.DeleteAccessListParams) {
	err := listInPath(c, owner, identifier)
	var cond models.Condition
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
	}
	if err == nil {
		err = s.Registry.DeleteAccessList(c.Request.Context(), actor(c), identifier, cond)
	}
	s.finish(c, err, func() { c.Status(http.StatusNoContent) })
}

func accessListOf(l models.AccessList) contract.AccessList {
	return contract.AccessList{
		Identifier: l.ID, Name: l.Name, Description: l.Description, CreatedAt: l.Created.UTC(), UpdatedAt: l.Updated.UTC(), Etag: tag(l.Version),
	}
}
