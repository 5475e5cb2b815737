package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// ListGrants lists who may do what in a service of the caller.
func (s *Server) ListGrants(c *gin.Context, id contract.ResourceID, params contract.ListGrantsParams) {
	resource, err := service(id)
	var p page
	if err == nil {
		p, err = pageOf(params.Cursor, params.Limit)
	}
	var rows []models.Grant
	if err == nil {
		rows, err = s.Registry.Grants(c.Request.Context(), caller(c), resource, models.Party(p.after), p.limit+1)
	}
	s.finish(c, err, func() {
		rows, next := cut(c, rows, p, func(g models.Grant) string { return string(g.Organisation) })
		out := contract.GrantList{Grants: make([]contract.Grant, len(rows))}
		for i, g := range rows {
			out.Grants[i] = grantOf(g)
		}
		link(c, next)
		c.JSON(http.StatusOK, out)
	})
}

// GetGrant reads one grant in a service of the caller.
func (s *Server) GetGrant(c *gin.Context, id contract.ResourceID, organization contract.Organization) {
	resource, party, err := grantInPath(id, organization)
	var g models.Grant
	if err == nil {
		g, err = s.Registry.GrantOf(c.Request.Context(), caller(c), resource, party)
	}
	s.finish(c, err, func() { entry(c, http.StatusOK, g.Version, grantOf(g)) })
}

// PutGrant gives an organisation exactly these rights in a service of the caller, or blocks them. They hold
// from the moment of the answer.
func (s *Server) PutGrant(c *gin.Context, id contract.ResourceID, organization contract.Organization, params contract.PutGrantParams) {
	var body contract.GrantUpdate
	resource, party, err := grantInPath(id, organization)
	if err == nil {
		err = readJSON(c, &body, true)
	}
	var g models.Grant
	if err == nil {
		g, err = readGrant(contract.GrantRow{
			Effect: (*contract.GrantRowEffect)(body.Effect), Send: body.Send, Receive: body.Receive, ReplyOnly: body.ReplyOnly, AcceptsReplies: body.AcceptsReplies,
			ValidFrom: body.ValidFrom, ValidTo: body.ValidTo, Supplier: body.Supplier, Note: body.Note,
		})
	}
	g.ResourceID, g.Organisation = resource, party
	var cond models.Condition
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
	}
	var created bool
	if err == nil {
		g, created, err = s.Registry.PutGrant(c.Request.Context(), actor(c), g, cond)
	}
	s.finish(c, err, func() { entry(c, putStatus(created), g.Version, grantOf(g)) })
}

// DeleteGrant takes an organisation's grant in a service of the caller, from the moment of the answer.
func (s *Server) DeleteGrant(c *gin.Context, id contract.ResourceID, organization contract.Organization, params contract.DeleteGrantParams) {
	resource, party, err := grantInPath(id, organization)
	var cond models.Condition
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
	}
	if err == nil {
		err = s.Registry.DeleteGrant(c.Request.Context(), actor(c), resource, party, cond)
	}
	s.finish(c, err, func() { c.Status(http.StatusNoContent) })
}

func grantInPath(id contract.ResourceID, organization contract.Organization) (string, models.Party, error) {
	resource, err := service(id)
	if err != nil {
		return "", "", err
	}
	party, err := models.ParseRegistered("organization", organization)
	return resource, party, err
}

// readGrant reads all of a grant but whose it is.
func readGrant(b contract.GrantRow) (models.Grant, error) {
	terms, err := termsOf(contract.TermsUpdate{
		Effect: (*contract.TermsUpdateEffect)(b.Effect), Send: b.Send, Receive: b.Receive, ReplyOnly: b.ReplyOnly, AcceptsReplies: b.AcceptsReplies,
		ValidFrom: b.ValidFrom, ValidTo: b.ValidTo,
	})
	g := models.Grant{Terms: terms, Note: value(b.Note)}
	if err == nil && value(b.Supplier) != "" {
		g.Supplier, err = models.ParseRegistered("supplier", *b.Supplier)
	}
	return g, err
}

func grantOf(g models.Grant) contract.Grant {
	out := contract.Grant{
		Organization: string(g.Organisation), Effect: contract.GrantEffect(g.Effect), Send: g.MaySend, Receive: g.MayReceive,
		ReplyOnly: g.ReplyOnly, AcceptsReplies: g.AcceptsReplies, ValidFrom: utc(g.ValidFrom), ValidTo: utc(g.ValidTo),
		Note: g.Note, Etag: tag(g.Version), Updated: g.Updated.UTC(),
	}
	if g.Supplier != "" {
		out.Supplier = ref(string(g.Supplier))
	}
	return out
}
