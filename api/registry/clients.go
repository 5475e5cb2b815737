package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
)

// ListClients lists the keys that the caller registered.
func (h *Handler) ListClients(c *gin.Context) {
	rows, err := h.Store.ClientsOf(c.Request.Context(), web.Caller(c))
	out := contract.ClientList{Clients: make([]contract.Client, len(rows))}
	for i, r := range rows {
		if out.Clients[i], err = clientOf(r); err != nil {
			break
		}
	}
	web.Finish(c, err, func() { c.JSON(http.StatusOK, out) })
}

// RegisterClient registers keys that may sign assertions for the caller. With an Idempotency-Key a repeat answers
// as the first time did.
func (h *Handler) RegisterClient(c *gin.Context, params contract.RegisterClientParams) {
	id := uuid.New()
	var err error
	if params.IdempotencyKey != nil {
		id, err = models.IdempotentID(web.Caller(c), "client/"+*params.IdempotencyKey), models.CheckIdempotencyKey(*params.IdempotencyKey)
	}
	var r models.Client
	if err == nil {
		r, err = h.readClient(c, id.String())
	}
	asked := r
	if err == nil {
		r, err = h.Store.PutClient(c.Request.Context(), web.Actor(c), r, models.Condition{Absent: true})
	}
	if errors.Is(err, models.ErrPreconditionFailed) {
		if r, err = h.clientOfCaller(c, id.String()); err == nil && (r.Keys != asked.Keys || r.Name != asked.Name) {
			err = models.ErrKeyReused
		}
	}
	h.finishClient(c, http.StatusCreated, r, err)
}

// GetClient reads keys that the caller registered.
func (h *Handler) GetClient(c *gin.Context, id contract.ClientID) {
	r, err := h.clientOfCaller(c, id)
	h.finishClient(c, http.StatusOK, r, err)
}

// PutClient replaces keys that the caller registered.
func (h *Handler) PutClient(c *gin.Context, id contract.ClientID, params contract.PutClientParams) {
	cond, err := web.Condition(params.IfMatch, params.IfNoneMatch)
	var r models.Client
	if err == nil {
		_, err = h.clientOfCaller(c, id) // ids are made by RegisterClient alone
	}
	if err == nil {
		r, err = h.readClient(c, id)
	}
	if err == nil {
		r, err = h.Store.PutClient(c.Request.Context(), web.Actor(c), r, cond)
	}
	h.finishClient(c, http.StatusOK, r, err)
}

// DeleteClient takes keys of the caller out of use.
func (h *Handler) DeleteClient(c *gin.Context, id contract.ClientID, params contract.DeleteClientParams) {
	cond, err := web.Condition(params.IfMatch, params.IfNoneMatch)
	if err == nil {
		_, err = h.clientOfCaller(c, id)
	}
	if err == nil {
		err = h.Store.DeleteClient(c.Request.Context(), web.Actor(c), id, cond)
	}
	web.Finish(c, err, func() { c.Status(http.StatusNoContent) })
}

// clientOfCaller reads a client; that of another organisation is like none.
func (h *Handler) clientOfCaller(c *gin.Context, id string) (models.Client, error) {
	if err := models.CheckText("clientId", id); err != nil {
		return models.Client{}, err
	}
	r, err := h.Store.ClientByID(c.Request.Context(), id)
	if err == nil && r.Organisation != web.Caller(c) {
		return models.Client{}, models.ErrClientNotFound
	}
	return r, err
}

func (h *Handler) readClient(c *gin.Context, id string) (models.Client, error) {
	var body struct { // ClientUpdate, with the keys as they were sent
		Name    string          `json:"name"`
		JWKS    json.RawMessage `json:"jwks"`
		Expires *string         `json:"expires"`
	}
	if err := web.ReadJSON(c, &body, true); err != nil {
		return models.Client{}, err
	}
	r := models.Client{ID: id, Name: body.Name, Keys: string(body.JWKS), Expires: h.Now().Add(models.MaxClientLife).UTC().Truncate(time.Microsecond)}
	at, err := web.Moment("expires", body.Expires)
	switch {
	case err != nil:
		return r, err
	case at != nil && (at.After(r.Expires) || !at.After(h.Now())):
		return r, models.InvalidField("expires", "expires must lie in the future, at most 366 days away.")
	case at != nil:
		r.Expires = *at
	}
	if err := r.Check(); err != nil {
		return r, err
	}
	_, _, err = identity.ParseClientKeys(body.JWKS)
	return r, err
}

func (h *Handler) finishClient(c *gin.Context, status int, r models.Client, err error) {
	var out contract.Client
	if err == nil {
		out, err = clientOf(r)
	}
	web.Finish(c, err, func() { web.Entry(c, status, r.Version, out) })
}

func clientOf(r models.Client) (contract.Client, error) {
	out := contract.Client{ClientID: r.ID, Name: r.Name, Expires: r.Expires.UTC(), Created: r.Created.UTC(), Etag: web.Tag(r.Version)}
	if err := json.Unmarshal([]byte(r.Keys), &out.Jwks); err != nil {
		return out, fmt.Errorf("read keys of client %s: %w", r.ID, err)
	}
	return out, nil
}
