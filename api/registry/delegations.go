package registry

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// ListDelegations lists what the caller delegated, or what was delegated to it.
func (h *Handler) ListDelegations(c *gin.Context, params contract.ListDelegationsParams) {
	list := h.Store.Delegations
	var err error
	switch web.Value(params.As) {
	case "", contract.ListDelegationsParamsAsPrincipal:
	case contract.ListDelegationsParamsAsSupplier:
		list = h.Store.DelegationsTo
	default:
		err = models.InvalidField("as", "as must be principal or supplier.")
	}
	var rows []models.Delegation
	if err == nil {
		rows, err = list(c.Request.Context(), web.Caller(c))
	}
	web.Finish(c, err, func() {
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
func (h *Handler) GetDelegation(c *gin.Context, supplier contract.Supplier, params contract.GetDelegationParams) {
	d, err := delegationInPath(supplier, params.Resource)
	if err == nil {
		d, err = h.Store.DelegationOf(c.Request.Context(), web.Caller(c), d.Supplier, d.ResourceID)
	}
	web.Finish(c, err, func() { web.Entry(c, http.StatusOK, d.Version, delegationOf(d)) })
}

// PutDelegation lets a supplier act for the caller.
func (h *Handler) PutDelegation(c *gin.Context, supplier contract.Supplier, params contract.PutDelegationParams) {
	var body contract.DelegationUpdate
	d, err := delegationInPath(supplier, params.Resource)
	if err == nil {
		err = web.ReadJSON(c, &body, true)
	}
	d.MaySend, d.MayReceive = web.Value(body.Send), web.Value(body.Receive)
	if err == nil {
		d.ValidFrom, d.ValidTo, err = web.Validity(body.ValidFrom, body.ValidTo)
	}
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	var created bool
	if err == nil {
		d, created, err = h.Store.PutDelegation(c.Request.Context(), web.Actor(c), d, cond)
	}
	web.Finish(c, err, func() { web.Entry(c, web.PutStatus(created), d.Version, delegationOf(d)) })
}

// DeleteDelegation takes a delegation of the caller back, from the moment of the answer.
func (h *Handler) DeleteDelegation(c *gin.Context, supplier contract.Supplier, params contract.DeleteDelegationParams) {
	d, err := delegationInPath(supplier, params.Resource)
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	if err == nil {
		err = h.Store.DeleteDelegation(c.Request.Context(), web.Actor(c), d, cond)
	}
	web.Finish(c, err, func() { c.Status(http.StatusNoContent) })
}

func delegationOf(d models.Delegation) contract.Delegation {
	out := contract.Delegation{
		Principal: string(d.Principal), Supplier: string(d.Supplier), Send: d.MaySend, Receive: d.MayReceive,
		ValidFrom: web.UTC(d.ValidFrom), ValidTo: web.UTC(d.ValidTo), Etag: web.Tag(d.Version), Updated: d.Updated.UTC(),
	}
	if d.ResourceID != "" {
		out.Resource = web.Ref(d.ResourceID)
	}
	return out
}
