package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// ListDelegations lists what the caller delegated, or what was delegated to it.
func (s *Server) ListDelegations(c *gin.Context, params contract.ListDelegationsParams) {
	list := s.Registry.Delegations
	var err error
	switch value(params.As) {
	case "", contract.ListDelegationsParamsAsPrincipal:
	case contract.ListDelegationsParamsAsSupplier:
		list = s.Registry.DelegationsTo
	default:
		err = models.InvalidField("as", "as must be principal or supplier.")
	}
	var rows []models.Delegation
	if err == nil {
		rows, err = list(c.Request.Context(), caller(c))
	}
	s.finish(c, err, func() {
		out := contract.DelegationList{Delegations: make([]contract.Delegation, len(rows))}
		for i, d := range rows {
			out.Delegations[i] = delegationOf(d)
		}
		c.JSON(http.StatusOK, out)
	})
}

// delegationInPath reads to whom, and in which service; no service stands for all.
func delegationInPath(supplier contract.Supplier, resource *string) (models.Delegation, error) {
	p, err := models.ParseRegistered("supplier", supplier)
	d := models.Delegation{Supplier: p}
	if err == nil && resource != nil {
		d.ResourceID, err = service(*resource)
	}
	return d, err
}

// GetDelegation reads a delegation of the caller.
func (s *Server) GetDelegation(c *gin.Context, supplier contract.Supplier, params contract.GetDelegationParams) {
	d, err := delegationInPath(supplier, params.Resource)
	if err == nil {
		d, err = s.Registry.DelegationOf(c.Request.Context(), caller(c), d.Supplier, d.ResourceID)
	}
	s.finish(c, err, func() { entry(c, http.StatusOK, d.Version, delegationOf(d)) })
}

// PutDelegation lets a supplier act for the caller.
func (s *Server) PutDelegation(c *gin.Context, supplier contract.Supplier, params contract.PutDelegationParams) {
	var body contract.DelegationUpdate
	d, err := delegationInPath(supplier, params.Resource)
	if err == nil {
		err = readJSON(c, &body, true)
	}
	d.MaySend, d.MayReceive = value(body.Send), value(body.Receive)
	if err == nil {
		d.ValidFrom, d.ValidTo, err = validity(body.ValidFrom, body.ValidTo)
	}
	var cond models.Condition
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
	}
	var created bool
	if err == nil {
		d, created, err = s.Registry.PutDelegation(c.Request.Context(), actor(c), d, cond)
	}
	s.finish(c, err, func() { entry(c, putStatus(created), d.Version, delegationOf(d)) })
}

// DeleteDelegation takes a delegation of the caller back, from the moment of the answer.
func (s *Server) DeleteDelegation(c *gin.Context, supplier contract.Supplier, params contract.DeleteDelegationParams) {
	d, err := delegationInPath(supplier, params.Resource)
	var cond models.Condition
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
	}
	if err == nil {
		err = s.Registry.DeleteDelegation(c.Request.Context(), actor(c), d, cond)
	}
	s.finish(c, err, func() { c.Status(http.StatusNoContent) })
}

func delegationOf(d models.Delegation) contract.Delegation {
	out := contract.Delegation{
		Principal: string(d.Principal), Supplier: string(d.Supplier), Send: d.MaySend, Receive: d.MayReceive,
		ValidFrom: utc(d.ValidFrom), ValidTo: utc(d.ValidTo), Etag: tag(d.Version), Updated: d.Updated.UTC(),
	}
	if d.ResourceID != "" {
		out.Resource = ref(d.ResourceID)
	}
	return out
}
