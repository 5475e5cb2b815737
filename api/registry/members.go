package registry

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// maxMembers bounds the organisations of one change.
const maxMembers = 10_000

// ListMembers lists the members of a list of the caller.
func (h *Handler) ListMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.ListMembersParams) {
	err := listInPath(c, owner, identifier)
	var p web.Page
	if err == nil {
		p, err = web.PageOf(params.Cursor, params.Limit)
	}
	var l models.AccessList
	if err == nil {
		l, err = h.Store.AccessListOf(c.Request.Context(), web.Caller(c), identifier)
	}
	var rows []models.AccessListMember
	if err == nil {
		rows, err = h.Store.AccessListMembers(c.Request.Context(), web.Caller(c), identifier, models.Party(p.After), p.Limit+1)
	}
	web.Finish(c, err, func() {
		rows, next := web.Cut(c, rows, p, func(m models.AccessListMember) string { return string(m.Organisation) })
		out := contract.MemberPage{Links: links(next), Data: make([]contract.Member, len(rows))}
		for i, m := range rows {
			out.Data[i] = memberOf(m)
		}
		web.Entry(c, http.StatusOK, l.Version, out)
	})
}

// ReplaceMembers makes exactly these organisations the members of a list of the caller.
func (h *Handler) ReplaceMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.ReplaceMembersParams) {
	h.changeMembers(c, owner, identifier, contract.AddMembersParams(params), func(rows []models.AccessListMember) models.MemberChange {
		return models.MemberChange{Put: rows, Replace: true}
	})
}

// AddMembers adds organisations to a list of the caller.
func (h *Handler) AddMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.AddMembersParams) {
	h.changeMembers(c, owner, identifier, params, func(rows []models.AccessListMember) models.MemberChange {
		return models.MemberChange{Put: rows}
	})
}

// RemoveMembers removes organisations from a list of the caller.
func (h *Handler) RemoveMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.RemoveMembersParams) {
	h.changeMembers(c, owner, identifier, contract.AddMembersParams(params), func(rows []models.AccessListMember) models.MemberChange {
		m := models.MemberChange{Remove: make([]models.Party, len(rows))}
		for i, r := range rows {
			m.Remove[i] = r.Organisation
		}
		return m
	})
}

func (h *Handler) changeMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.AddMembersParams, change func([]models.AccessListMember) models.MemberChange) {
	err := listInPath(c, owner, identifier)
	var rows []models.AccessListMember
	if err == nil {
		rows, err = readMembers(c)
	}
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	var version int64
	if err == nil {
		version, err = h.Store.ChangeMembers(c.Request.Context(), web.Actor(c), identifier, change(rows), cond)
	}
	web.Finish(c, err, func() {
		c.Header("ETag", web.Tag(version))
		c.Status(http.StatusNoContent)
	})
}

func readMembers(c *gin.Context) ([]models.AccessListMember, error) {
	var body contract.MembersUpdate
	if err := web.ReadJSON(c, &body, true); err != nil {
		return nil, err
	}
	if body.Data == nil || len(body.Data) > maxMembers {
		return nil, models.InvalidField("data", fmt.Sprintf("data must be a list of at most %d organisations.", maxMembers))
	}
	from, to, err := web.Validity(body.ValidFrom, body.ValidTo)
	if err != nil {
		return nil, err
	}
	out := make([]models.AccessListMember, len(body.Data))
	for i, given := range body.Data {
		p, err := models.ParseRegistered(fmt.Sprintf("data[%d]", i), given)
		if err != nil {
			return nil, err
		}
		out[i] = models.AccessListMember{Organisation: p, ValidFrom: from, ValidTo: to}
	}
	return out, nil
}

func memberOf(m models.AccessListMember) contract.Member {
	return contract.Member{
		Organization: string(m.Organisation), Since: m.Since.UTC(), ValidFrom: web.UTC(m.ValidFrom), ValidTo: web.UTC(m.ValidTo),
		Identifiers: map[string]string{"urn:altinn:organization:identifier-no": m.Organisation.Number()},
	}
}
