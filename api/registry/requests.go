package registry

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// RequestAccess asks the owner of a service for rights in it.
func (h *Handler) RequestAccess(c *gin.Context, id contract.ResourceID) {
	var body contract.AccessRequestDraft
	resource, err := service(id)
	if err == nil {
		err = web.ReadJSON(c, &body, true)
	}
	r := models.AccessRequest{ResourceID: resource, MaySend: web.Value(body.Send), MayReceive: web.Value(body.Receive), Text: web.Value(body.Text)}
	if err == nil {
		r.ID, err = uuid.NewV7()
	}
	if err == nil {
		r, err = h.Store.RequestAccess(c.Request.Context(), web.Actor(c), r)
	}
	web.Finish(c, err, func() { web.Entry(c, http.StatusCreated, r.Version, accessRequestOf(r)) })
}

// ListAccessRequests lists who asks for rights in a service of the caller.
func (h *Handler) ListAccessRequests(c *gin.Context, id contract.ResourceID, params contract.ListAccessRequestsParams) {
	resource, err := service(id)
	h.accessRequests(c, err, params, func(q models.AccessRequestQuery) ([]models.AccessRequest, error) {
		q.ResourceID = resource
		return h.Store.AccessRequestsIn(c.Request.Context(), web.Caller(c), q)
	})
}

// ListOwnAccessRequests lists what the caller asked for.
func (h *Handler) ListOwnAccessRequests(c *gin.Context, params contract.ListOwnAccessRequestsParams) {
	h.accessRequests(c, nil, contract.ListAccessRequestsParams(params), func(q models.AccessRequestQuery) ([]models.AccessRequest, error) {
		return h.Store.AccessRequestsOf(c.Request.Context(), web.Caller(c), q)
	})
}

func (h *Handler) accessRequests(c *gin.Context, err error, params contract.ListAccessRequestsParams, list func(models.AccessRequestQuery) ([]models.AccessRequest, error)) {
	var p web.Page
	if err == nil {
		p, err = web.PageOf(params.Cursor, params.Limit)
	}
	q := models.AccessRequestQuery{State: models.RequestState(web.Value(params.State)), Limit: p.Limit + 1}
	if err == nil && p.After != "" {
		if q.After, err = uuid.Parse(p.After); err != nil {
			err = web.BadCursor()
		}
	}
	switch q.State {
	case "", models.RequestPending, models.RequestApproved, models.RequestDenied, models.RequestWithdrawn:
	default:
		err = models.InvalidField("state", "The state must be pending, approved, denied or withdrawn.")
	}
	var rows []models.AccessRequest
	if err == nil {
		rows, err = list(q)
	}
	web.Finish(c, err, func() {
		rows, next := web.Cut(c, rows, p, func(r models.AccessRequest) string { return r.ID.String() })
		out := contract.AccessRequestList{AccessRequests: make([]contract.AccessRequest, len(rows))}
		for i, r := range rows {
			out.AccessRequests[i] = accessRequestOf(r)
		}
		web.Link(c, next)
		c.JSON(http.StatusOK, out)
	})
}

// GetAccessRequest reads a request, for who asked and for the owner of the service.
func (h *Handler) GetAccessRequest(c *gin.Context, id contract.AccessRequestID) {
	r, err := h.Store.AccessRequestFor(c.Request.Context(), web.Caller(c), id)
	web.Finish(c, err, func() { web.Entry(c, http.StatusOK, r.Version, accessRequestOf(r)) })
}

// WithdrawAccessRequest takes a request of the caller back.
func (h *Handler) WithdrawAccessRequest(c *gin.Context, id contract.AccessRequestID, params contract.WithdrawAccessRequestParams) {
	cond, err := web.Condition(params.IfMatch, params.IfNoneMatch)
	if err == nil {
		err = h.Store.WithdrawAccessRequest(c.Request.Context(), web.Actor(c), id, cond)
	}
	web.Finish(c, err, func() { c.Status(http.StatusNoContent) })
}

// ApproveAccessRequest grants what was asked for.
func (h *Handler) ApproveAccessRequest(c *gin.Context, id contract.AccessRequestID, params contract.ApproveAccessRequestParams) {
	h.answerAccessRequest(c, id, true, params)
}

// DenyAccessRequest grants nothing.
func (h *Handler) DenyAccessRequest(c *gin.Context, id contract.AccessRequestID, params contract.DenyAccessRequestParams) {
	h.answerAccessRequest(c, id, false, contract.ApproveAccessRequestParams(params))
}

func (h *Handler) answerAccessRequest(c *gin.Context, id uuid.UUID, approve bool, params contract.ApproveAccessRequestParams) {
	var body contract.AccessAnswer
	err := web.ReadJSON(c, &body, true)
	a := models.AccessAnswer{Approve: approve, Text: web.Value(body.Text)}
	if err == nil {
		a.ValidFrom, a.ValidTo, err = web.Validity(body.ValidFrom, body.ValidTo)
	}
	if err == nil {
		err = a.Check()
	}
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	var r models.AccessRequest
	if err == nil {
		r, err = h.Store.AnswerAccessRequest(c.Request.Context(), web.Actor(c), id, a, cond)
	}
	if err != nil {
		err = fmt.Errorf("answer access request: %w", err)
	}
	web.Finish(c, err, func() { web.Entry(c, http.StatusOK, r.Version, accessRequestOf(r)) })
}

func accessRequestOf(r models.AccessRequest) contract.AccessRequest {
	return contract.AccessRequest{
		ID: r.ID, ResourceID: r.ResourceID, Organization: string(r.Organisation), Send: r.MaySend, Receive: r.MayReceive,
		Text: r.Text, State: contract.AccessRequestState(r.State), Answer: r.Answer, Etag: web.Tag(r.Version),
		Created: r.Created.UTC(), Answered: web.UTC(r.Answered),
	}
}
