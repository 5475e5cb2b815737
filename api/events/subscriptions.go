package events

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// ListSubscriptions lists the subscriptions of the caller.
func (h *Handler) ListSubscriptions(c *gin.Context, params contract.ListSubscriptionsParams) {
	p, err := web.PageOf(params.Cursor, params.Limit)
	var after int64
	if err == nil && p.After != "" {
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil {
			err = web.BadCursor()
		}
	}
	var rows []models.SubscriptionView
	if err == nil {
		rows, err = h.Subscriptions.SubscriptionsOf(c.Request.Context(), web.Caller(c), after, p.Limit+1)
	}
	web.Finish(c, err, func() {
		rows, next := web.Cut(c, rows, p, func(v models.SubscriptionView) string { return strconv.FormatInt(v.ID, 10) })
		web.Link(c, next)
		out := contract.SubscriptionList{Count: len(rows), Subscriptions: make([]contract.Subscription, len(rows))}
		for i, v := range rows {
			out.Subscriptions[i] = subscriptionOf(v)
		}
		c.JSON(http.StatusOK, out)
	})
}

// GetSubscription reads a subscription of the caller.
func (h *Handler) GetSubscription(c *gin.Context, id contract.SubscriptionID) {
	v, err := h.Subscriptions.SubscriptionOf(c.Request.Context(), web.Caller(c), id)
	web.Finish(c, err, func() { web.Entry(c, http.StatusOK, v.Version, subscriptionOf(v)) })
}

// CreateSubscription subscribes an endpoint of the caller's choice to its events. With an Idempotency-Key a repeat
// answers with what there is, and without the secret: that is shown once. Whoever did not get it rotates.
func (h *Handler) CreateSubscription(c *gin.Context, params contract.CreateSubscriptionParams) {
	n, err := h.readSubscription(c)
	if err == nil && params.IdempotencyKey != nil {
		n.IdempotencyKey, err = params.IdempotencyKey, models.CheckIdempotencyKey(*params.IdempotencyKey)
	}
	var sealed string
	if err == nil {
		_, sealed, err = h.Webhooks.NewSecret(n.Party)
	}
	created := false
	if err == nil {
		n.Secrets = []models.SealedSecret{{Sealed: sealed}}
		n, created, err = h.Subscriptions.InsertSubscription(c.Request.Context(), web.Actor(c), n)
	}
	if err == nil && created {
		h.wake(c, n.ID)
	}
	h.finishSubscription(c, http.StatusCreated, n.ID, created, err)
}

// DeleteSubscription ends a subscription of the caller.
func (h *Handler) DeleteSubscription(c *gin.Context, id contract.SubscriptionID, params contract.DeleteSubscriptionParams) {
	cond, err := optionalMatch(params.IfMatch)
	if err == nil {
		err = h.Subscriptions.DeleteSubscription(c.Request.Context(), web.Actor(c), id, cond)
	}
	if err == nil {
		h.wake(c, id)
	}
	web.Finish(c, err, func() { c.Status(http.StatusOK) })
}

// ListWebhookKeys lists the keys that verify v1a signatures.
func (h *Handler) ListWebhookKeys(c *gin.Context) {
	var out contract.WebhookKeyList
	for _, k := range h.Webhooks.PublicKeys() {
		out.Keys = append(out.Keys, struct {
			ID        string `json:"id"`
			PublicKey string `json:"publicKey"`
		}{k.ID, k.Public})
	}
	c.JSON(http.StatusOK, out)
}

// wake lets a subscription's workflow see what was changed. When that fails nothing is lost: workers look for
// subscriptions that nobody woke.
func (h *Handler) wake(c *gin.Context, id int64) {
	ctx := context.WithoutCancel(c.Request.Context())
	if err := h.Subscribers.WakeSubscription(ctx, id); err != nil {
		h.Log.WarnContext(ctx, "subscription not woken", "subscription", id, "error", err.Error())
	}
}

// optionalMatch is a condition on Altinn's paths, whose clients know none.
func optionalMatch(match *string) (models.Condition, error) {
	cond, err := web.Condition(match, nil)
	cond.Unconditional = true
	return cond, err
}

// readSubscription reads and checks of what the caller wants to be notified, and where.
func (h *Handler) readSubscription(c *gin.Context) (models.Subscription, error) {
	var body contract.SubscriptionRequest
	n := models.Subscription{Party: web.Caller(c)}
	if err := web.ReadJSON(c, &body, false); err != nil {
		return n, err
	}
	n.EndPoint, n.SourceFilter = body.EndPoint, web.Value(body.SourceFilter)
	n.ResourceID, n.SubjectFilter = models.ResourceID(web.Value(body.ResourceFilter)), web.Value(body.SubjectFilter)
	n.TypeFilter = []string{}
	for kind := range strings.SplitSeq(web.Value(body.TypeFilter), ",") {
		if kind = strings.TrimSpace(kind); kind != "" {
			n.TypeFilter = append(n.TypeFilter, models.ShortType(kind).FullType())
		}
	}
	if err := n.CheckFilters(models.EventSource(h.PublicURL)); err != nil {
		return n, err
	}
	if other := web.Value(body.AlternativeSubjectFilter); other != "" && other != organisationPath(n.Party) {
		return n, models.InvalidField("alternativeSubjectFilter", "An organisation is notified of its own events only; its path is "+organisationPath(n.Party)+".")
	}
	n.SetRequestHashes()
	return n, h.Webhooks.Check(c.Request.Context(), n.EndPoint)
}

// finishSubscription answers with a subscription as it is now, and its newest secret if that is new to the caller.
func (h *Handler) finishSubscription(c *gin.Context, status int, id int64, withSecret bool, err error) {
	var v models.SubscriptionView
	if err == nil {
		v, err = h.Subscriptions.SubscriptionOf(c.Request.Context(), web.Caller(c), id)
	}
	out := subscriptionOf(v)
	if err == nil && withSecret {
		var secret string
		secret, err = h.Webhooks.Secret(v.Party, v.Secrets[0].Sealed)
		out.Secrets = []string{secret}
	}
	web.Finish(c, err, func() { web.Entry(c, status, v.Version, out) })
}

// organisationPath is how Altinn names an organisation in subscriptions.
func organisationPath(p models.Party) string { return "/organisation/" + p.Number() }

func subscriptionOf(v models.SubscriptionView) contract.Subscription {
	return contract.Subscription{
		ID: v.ID, EndPoint: v.EndPoint, SourceFilter: web.TextOrNull(v.SourceFilter), ResourceFilter: web.TextOrNull(models.ResourceURN(v.ResourceID)),
		SubjectFilter: web.TextOrNull(v.SubjectFilter), TypeFilter: web.TextOrNull(strings.Join(v.TypeFilter, ",")),
		Consumer: organisationPath(v.Party), CreatedBy: organisationPath(v.Party), Created: v.Created.UTC(), Validated: v.Validated != nil,
		Status: contract.SubscriptionStatus(v.Status), Cursor: v.Cursor, Lag: max(v.Lag, 0), LastError: web.TextOrNull(v.LastError),
		FailingSince: web.UTC(v.FailingSince), NextAttempt: web.UTC(v.NextAttempt), LastDelivered: web.UTC(v.LastDelivered),
		LastEventID: v.LastEventID, Etag: web.Tag(v.Version),
	}
}
