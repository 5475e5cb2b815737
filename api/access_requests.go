package api

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// RequestAccess asks the owner of a service for rights in it.
func (s *Server) RequestAccess(c *gin.Context, id contract.ResourceID) {
	var body contract.AccessRequestDraft
	resource, err := service(id)
	if err == nil {
		err = readJSON(c, &body, true)
	}
	r := models.AccessRequest{ResourceID: resource, MaySend: value(body.Send), MayReceive: value(body.Receive), Text: value(body.Text)}
	if err == nil {
		r.ID, err = uuid.NewV7()
	}
	if err == nil {
		r, err = s.Registry.RequestAccess(c.Request.Context(), actor(c), r)
	}
	s.finish(c, err, func() { entry(c, http.StatusCreated, r.Version, accessRequestOf(r)) })
}

// ListAccessRequests lists who asks for rights in a service of the caller.
func (s *Server) ListAccessRequests(c *gin.Context, id contract.ResourceID, params contract.ListAccessRequestsParams) {
	resource, err := service(id)
	s.accessRequests(c, err, params, func(q models.AccessRequestQuery) ([]models.AccessRequest, error) {
		q.ResourceID = resource
		return s.Registry.AccessRequestsIn(c.Request.Context(), caller(c), q)
	})
}

// ListOwnAccessRequests lists what the caller asked for.
func (s *Server) ListOwnAccessRequests(c *gin.Context, params contract.ListOwnAccessRequestsParams) {
	s.accessRequests(c, nil, contract.ListAccessRequestsParams(params), func(q models.AccessRequestQuery) ([]models.AccessRequest, error) {
		return s.Registry.AccessRequestsOf(c.Request.Context(), caller(c), q)
	})
}

func (s *Server) accessRequests(c *gin.Context, err error, params contract.ListAccessRequestsParams, list func(models.AccessRequestQuery) ([]models.AccessRequest, error)) {
	var p page
	if err == nil {
		p, err = pageOf(params.Cursor, params.Limit)
	}
	q := models.AccessRequestQuery{State: models.RequestState(value(params.State)), Limit: p.limit + 1}
	if err == nil && p.after != "" {
		if q.After, err = uuid.Parse(p.after); err != nil {
			err = models.InvalidField("cursor", "The cursor must be one that a page before told.")
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
	s.finish(c, err, func() {
		rows, next := cut(c, rows, p, func(r models.AccessRequest) string { return r.ID.String() })
		out := contract.AccessRequestList{AccessRequests: make([]contract.AccessRequest, len(rows))}
		for i, r := range rows {
			out.AccessRequests[i] = accessRequestOf(r)
		}
		link(c, next)
		c.JSON(http.StatusOK, out)
	})
}

// GetAccessRequest reads a request, for who asked and for the owner of the service.
func (s *Server) GetAccessRequest(c *gin.Context, id contract.AccessRequestID) {
	r, err := s.Registry.AccessRequestFor(c.Request.Context(), caller(c), id)
	s.finish(c, err, func() { entry(c, http.StatusOK, r.Version, accessRequestOf(r)) })
}

// WithdrawAccessRequest takes a request of the caller back.
func (s *Server) WithdrawAccessRequest(c *gin.Context, id contract.AccessRequestID, params contract.WithdrawAccessRequestParams) {
	cond, err := condition(params.IfMatch, params.IfNoneMatch)
	if err == nil {
		err = s.Registry.WithdrawAccessRequest(c.Request.Context(), actor(c), id, cond)
	}
	s.finish(c, err, func() { c.Status(http.StatusNoContent) })
}

// ApproveAccessRequest grants what was asked for.
func (s *Server) ApproveAccessRequest(c *gin.Context, id contract.AccessRequestID, params contract.ApproveAccessRequestParams) {
	s.answerAccessRequest(c, id, true, params)
}

// DenyAccessRequest grants nothing.
func (s *Server) DenyAccessRequest(c *gin.Context, id contract.AccessRequestID, params contract.DenyAccessRequestParams) {
	s.answerAccessRequest(c, id, false, contract.ApproveAccessRequestParams(params))
}

func (s *Server) answerAccessRequest(c *gin.Context, id uuid.UUID, approve bool, params contract.ApproveAccessRequestParams) {
	var body contract.AccessAnswer
	err := readJSON(c, &body, true)
	a := models.AccessAnswer{Approve: approve, Text: value(body.Text)}
	if err == nil {
		a.ValidFrom, a.ValidTo, err = validity(body.ValidFrom, body.ValidTo)
	}
	if err == nil {
		err = a.Check()
	}
	var cond models.Condition
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
	}
	var r models.AccessRequest
	if err == nil {
		r, err = s.Registry.AnswerAccessRequest(c.Request.Context(), actor(c), id, a, cond)
	}
	if err != nil {
		err = fmt.Errorf("answer access request: %w", err)
	}
	s.finish(c, err, func() { entry(c, http.StatusOK, r.Version, accessRequestOf(r)) })
}

func accessRequestOf(r models.AccessRequest) contract.AccessRequest {
	return contract.AccessRequest{
		ID: r.ID, ResourceID: r.ResourceID, Organization: string(r.Organisation), Send: r.MaySend, Receive: r.MayReceive,
		Text: r.Text, State: contract.AccessRequestState(r.State), Answer: r.Answer, Etag: tag(r.Version),
		Created: r.Created.UTC(), Answered: utc(r.Answered),
	}
}
