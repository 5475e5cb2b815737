package events

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// TestSubscription sends a test event to the endpoint of a subscription and tells how it answered. One that never
// answered its validation may be somebody's who wants nothing of us.
func (h *Handler) TestSubscription(c *gin.Context, id contract.SubscriptionID) {
	n, err := h.Subscriptions.SubscriptionOf(c.Request.Context(), web.Caller(c), id)
	if err == nil && n.Validated == nil {
		err = models.ErrNotValidated
	}
	var out models.TestResult
	if err == nil {
		out, err = h.Subscribers.TestSubscription(c.Request.Context(), id, uuid.New())
	}
	web.Finish(c, err, func() {
		answer := contract.SubscriptionTest{EventID: out.EventID, Delivered: out.Delivered, Error: web.TextOrNull(out.Error), TookMilliseconds: out.TookMillis}
		if out.Status != 0 {
			answer.Status = &out.Status
		}
		c.JSON(http.StatusOK, answer)
	})
}

// EnableSubscription lets a subscription be tried again at once.
func (h *Handler) EnableSubscription(c *gin.Context, id contract.SubscriptionID, params contract.EnableSubscriptionParams) {
	cond, err := optionalMatch(params.IfMatch)
	if err == nil {
		_, err = h.Subscriptions.EnableSubscription(c.Request.Context(), web.Actor(c), id, cond)
	}
	if err == nil {
		h.wake(c, id)
	}
	h.finishSubscription(c, http.StatusOK, id, false, err)
}

// ReplaySubscription notifies a subscription's endpoint again of an event and all that followed.
func (h *Handler) ReplaySubscription(c *gin.Context, id contract.SubscriptionID, params contract.ReplaySubscriptionParams) {
	cond, err := optionalMatch(params.IfMatch)
	var body struct{ From string }
	if err == nil {
		err = web.ReadJSON(c, &body, true)
	}
	var from uuid.UUID
	if err == nil {
		if from, err = uuid.Parse(body.From); err != nil {
			err = models.InvalidField("from", "It must be the id of an event, a UUID.")
		}
	}
	if err == nil {
		_, err = h.Subscriptions.ReplaySubscription(c.Request.Context(), web.Actor(c), id, from, cond)
	}
	if errors.Is(err, models.ErrNoSuchEvent) {
		err = models.InvalidField("from", "You have no event with this id.")
	}
	if err == nil {
		h.wake(c, id)
	}
	h.finishSubscription(c, http.StatusOK, id, false, err)
}

// RotateSubscription gives a subscription a new secret. There is no need to wake its workflow: secrets are read for
// each event.
func (h *Handler) RotateSubscription(c *gin.Context, id contract.SubscriptionID, params contract.RotateSubscriptionParams) {
	cond, err := optionalMatch(params.IfMatch)
	overlap := models.DefaultOverlap
	if err == nil {
		overlap, err = readOverlap(c)
	}
	var sealed string
	if err == nil {
		_, sealed, err = h.Webhooks.NewSecret(web.Caller(c))
	}
	if err == nil {
		_, err = h.Subscriptions.RotateSubscription(c.Request.Context(), web.Actor(c), id, sealed, overlap, cond)
	}
	h.finishSubscription(c, http.StatusOK, id, true, err)
}

// readOverlap reads how long the secret before signs too; no body means the default.
func readOverlap(c *gin.Context) (time.Duration, error) {
	if c.Request.ContentLength == 0 {
		return models.DefaultOverlap, nil
	}
	var body struct{ Overlap *string }
	if err := web.ReadJSON(c, &body, true); err != nil {
		return 0, err
	}
	if body.Overlap == nil {
		return models.DefaultOverlap, nil
	}
	d, err := models.ParseDuration(*body.Overlap)
	if err != nil || d < 0 || d > models.MaxOverlap {
		return 0, models.InvalidField("overlap", "It must be an ISO 8601 duration of at most seven days, such as P1D.")
	}
	return d, nil
}
