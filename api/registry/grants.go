package registry

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// ListGrants lists who may do what in a service of the caller.
func (h *Handler) ListGrants(c *gin.Context, id contract.ResourceID, params contract.ListGrantsParams) {
	resource, err := service(id)
	var p web.Page
	if err == nil {
		p, err = web.PageOf(params.Cursor, params.Limit)
	}
	var rows []models.Grant
	if err == nil {
		rows, err = h.Store.Grants(c.Request.Context(), web.Caller(c), resource, models.Party(p.After), p.Limit+1)
	}
	web.Finish(c, err, func() {
		rows, next := web.Cut(c, rows, p, func(g models.Grant) string { return string(g.Organisation) })
		out := contract.GrantList{Grants: make([]contract.Grant, len(rows))}
		for i, g := range rows {
			out.Grants[i] = grantOf(g)
		}
		web.Link(c, next)
		c.JSON(http.StatusOK, out)
	})
}

// GetGrant reads one grant in a service of the caller.
func (h *Handler) GetGrant(c *gin.Context, id contract.ResourceID, organization contract.Organization) {
	resource, party, err := grantInPath(id, organization)
	var g models.Grant
	if err == nil {
		g, err = h.Store.GrantOf(c.Request.Context(), web.Caller(c), resource, party)
	}
	web.Finish(c, err, func() { web.Entry(c, http.StatusOK, g.Version, grantOf(g)) })
}

// PutGrant gives an organisation exactly these rights in a service of the caller, or blocks them. They hold
// from the moment of the answer.
func (h *Handler) PutGrant(c *gin.Context, id contract.ResourceID, organization contract.Organization, params contract.PutGrantParams) {
	var body contract.GrantUpdate
	resource, party, err := grantInPath(id, organization)
	if err == nil {
		err = web.ReadJSON(c, &body, true)
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
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	var created bool
	if err == nil {
		g, created, err = h.Store.PutGrant(c.Request.Context(), web.Actor(c), g, cond)
	}
	web.Finish(c, err, func() { web.Entry(c, web.PutStatus(created), g.Version, grantOf(g)) })
}

// DeleteGrant takes an organisation's grant in a service of the caller, from the moment of the answer.
func (h *Handler) DeleteGrant(c *gin.Context, id contract.ResourceID, organization contract.Organization, params contract.DeleteGrantParams) {
	resource, party, err := grantInPath(id, organization)
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	if err == nil {
		err = h.Store.DeleteGrant(c.Request.Context(), web.Actor(c), resource, party, cond)
	}
	web.Finish(c, err, func() { c.Status(http.StatusNoContent) })
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
	g := models.Grant{Terms: terms, Note: web.Value(b.Note)}
	if err == nil && web.Value(b.Supplier) != "" {
		g.Supplier, err = models.ParseRegistered("supplier", *b.Supplier)
	}
	return g, err
}

func grantOf(g models.Grant) contract.Grant {
	out := contract.Grant{
		Organization: string(g.Organisation), Effect: contract.GrantEffect(g.Effect), Send: g.MaySend, Receive: g.MayReceive,
		ReplyOnly: g.ReplyOnly, AcceptsReplies: g.AcceptsReplies, ValidFrom: web.UTC(g.ValidFrom), ValidTo: web.UTC(g.ValidTo),
		Note: g.Note, Etag: web.Tag(g.Version), Updated: g.Updated.UTC(),
	}
	if g.Supplier != "" {
		out.Supplier = web.Ref(string(g.Supplier))
	}
	return out
}
