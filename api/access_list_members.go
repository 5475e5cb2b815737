package api

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// maxMembers bounds the organisations of one change.
const maxMembers = 10_000

// ListMembers lists the members of a list of the caller.
func (s *Server) ListMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.ListMembersParams) {
	err := listInPath(c, owner, identifier)
	var p page
	if err == nil {
		p, err = pageOf(params.Cursor, params.Limit)
	}
	var l models.AccessList
	if err == nil {
		l, err = s.Registry.AccessListOf(c.Request.Context(), caller(c), identifier)
	}
	var rows []models.AccessListMember
	if err == nil {
		rows, err = s.Registry.AccessListMembers(c.Request.Context(), caller(c), identifier, models.Party(p.after), p.limit+1)
	}
	s.finish(c, err, func() {
		rows, next := cut(c, rows, p, func(m models.AccessListMember) string { return string(m.Organisation) })
		out := contract.MemberPage{Links: links(next), Data: make([]contract.Member, len(rows))}
		for i, m := range rows {
			out.Data[i] = memberOf(m)
		}
		entry(c, http.StatusOK, l.Version, out)
	})
}

// ReplaceMembers makes exactly these organisations the members of a list of the caller.
func (s *Server) ReplaceMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.ReplaceMembersParams) {
	s.changeMembers(c, owner, identifier, contract.AddMembersParams(params), func(rows []models.AccessListMember) models.MemberChange {
		return models.MemberChange{Put: rows, Replace: true}
	})
}

// AddMembers adds organisations to a list of the caller.
func (s *Server) AddMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.AddMembersParams) {
	s.changeMembers(c, owner, identifier, params, func(rows []models.AccessListMember) models.MemberChange {
		return models.MemberChange{Put: rows}
	})
}

// RemoveMembers removes organisations from a list of the caller.
func (s *Server) RemoveMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.RemoveMembersParams) {
	s.changeMembers(c, owner, identifier, contract.AddMembersParams(params), func(rows []models.AccessListMember) models.MemberChange {
		m := models.MemberChange{Remove: make([]models.Party, len(rows))}
		for i, r := range rows {
			m.Remove[i] = r.Organisation
		}
		return m
	})
}

func (s *Server) changeMembers(c *gin.Context, owner contract.ListOwner, identifier contract.ListIdentifier, params contract.AddMembersParams, change func([]models.AccessListMember) models.MemberChange) {
	err := listInPath(c, owner, identifier)
	var rows []models.AccessListMember
	if err == nil {
		rows, err = readMembers(c)
	}
	var cond models.Condition
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
	}
	var version int64
	if err == nil {
		version, err = s.Registry.ChangeMembers(c.Request.Context(), actor(c), identifier, change(rows), cond)
	}
	s.finish(c, err, func() {
		c.Header("ETag", tag(version))
		c.Status(http.StatusNoContent)
	})
}

func readMembers(c *gin.Context) ([]models.AccessListMember, error) {
	var body contract.MembersUpdate
	if err := readJSON(c, &body, true); err != nil {
		return nil, err
	}
	if body.Data == nil || len(body.Data) > maxMembers {
		return nil, models.InvalidField("data", fmt.Sprintf("data must be a list of at most %d organisations.", maxMembers))
	}
	from, to, err := validity(body.ValidFrom, body.ValidTo)
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
		Organization: string(m.Organisation), Since: m.Since.UTC(), ValidFrom: utc(m.ValidFrom), ValidTo: utc(m.ValidTo),
		Identifiers: map[string]string{"urn:altinn:organization:identifier-no": m.Organisation.Number()},
	}
}
