package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Subscriptions keeps who wants to be told of events.
type Subscriptions interface {
	InsertSubscription(ctx context.Context, by models.Caller, n models.Subscription) (put models.Subscription, created bool, err error)
	SubscriptionsOf(ctx context.Context, party models.Party, after int64, limit int) ([]models.SubscriptionView, error)
	SubscriptionOf(ctx context.Context, party models.Party, id int64) (models.SubscriptionView, error)
	RotateSubscription(ctx context.Context, by models.Caller, id int64, sealed string, overlap time.Duration, cond models.Condition) (models.Subscription, error)
	EnableSubscription(ctx context.Context, by models.Caller, id int64, cond models.Condition) (models.Subscription, error)
	ReplaySubscription(ctx context.Context, by models.Caller, id int64, event uuid.UUID, cond models.Condition) (models.Subscription, error)
	DeleteSubscription(ctx context.Context, by models.Caller, id int64, cond models.Condition) error
}

// Subscribers is the door to the workflows of subscriptions.
type Subscribers interface {
	WakeSubscription(ctx context.Context, id int64) error
	TestSubscription(ctx context.Context, id int64, event uuid.UUID) (models.TestResult, error)
}

// Webhooks knows where webhooks may go and what signs them.
type Webhooks interface {
	Check(ctx context.Context, endPoint string) error
	NewSecret(of models.Party) (clear, sealed string, err error)
	Secret(of models.Party, sealed string) (string, error)
	PublicKeys() []models.WebhookKey
}

// ListSubscriptions lists the subscriptions of the caller.
func (s *Server) ListSubscriptions(c *gin.Context, params contract.ListSubscriptionsParams) {
	p, err := pageOf(params.Cursor, params.Limit)
	var after int64
	if err == nil && p.after != "" {
		if after, err = strconv.ParseInt(p.after, 10, 64); err != nil {
			err = models.InvalidField("cursor", "The cursor must be one that a page before told.")
		}
	}
	var rows []models.SubscriptionView
	if err == nil {
		rows, err = s.Subscriptions.SubscriptionsOf(c.Request.Context(), caller(c), after, p.limit+1)
	}
	s.finish(c, err, func() {
		rows, next := cut(c, rows, p, func(v models.SubscriptionView) string { return strconv.FormatInt(v.ID, 10) })
		link(c, next)
		out := contract.SubscriptionList{Count: len(rows), Subscriptions: make([]contract.Subscription, len(rows))}
		for i, v := range rows {
			out.Subscriptions[i] = subscriptionOf(v)
		}
		c.JSON(http.StatusOK, out)
	})
}

// GetSubscription reads a subscription of the caller.
func (s *Server) GetSubscription(c *gin.Context, id contract.SubscriptionID) {
	v, err := s.Subscriptions.SubscriptionOf(c.Request.Context(), caller(c), id)
	s.finish(c, err, func() { entry(c, http.StatusOK, v.Version, subscriptionOf(v)) })
}

// CreateSubscription subscribes an endpoint of the caller's choice to its events. With an Idempotency-Key a repeat
// answers with what there is, and without the secret: that is told once. Whoever did not get it rotates.
func (s *Server) CreateSubscription(c *gin.Context, params contract.CreateSubscriptionParams) {
	n, err := s.readSubscription(c)
	if err == nil && params.IdempotencyKey != nil {
		n.IdempotencyKey, err = params.IdempotencyKey, models.CheckIdempotencyKey(*params.IdempotencyKey)
	}
	var sealed string
	if err == nil {
		_, sealed, err = s.Webhooks.NewSecret(n.Party)
	}
	created := false
	if err == nil {
		n.Secrets = []models.SealedSecret{{Sealed: sealed}}
		n, created, err = s.Subscriptions.InsertSubscription(c.Request.Context(), actor(c), n)
	}
	if err == nil && created {
		s.wake(c, n.ID)
	}
	s.finishSubscription(c, http.StatusCreated, n.ID, created, err)
}

// DeleteSubscription ends a subscription of the caller.
func (s *Server) DeleteSubscription(c *gin.Context, id contract.SubscriptionID, params contract.DeleteSubscriptionParams) {
	cond, err := maybe(params.IfMatch)
	if err == nil {
		err = s.Subscriptions.DeleteSubscription(c.Request.Context(), actor(c), id, cond)
	}
	if err == nil {
		s.wake(c, id)
	}
	s.finish(c, err, func() { c.Status(http.StatusOK) })
}

// ListWebhookKeys tells the keys that verify v1a signatures.
func (s *Server) ListWebhookKeys(c *gin.Context) {
	var out contract.WebhookKeyList
	for _, k := range s.Webhooks.PublicKeys() {
		out.Keys = append(out.Keys, struct {
			ID        string `json:"id"`
			PublicKey string `json:"publicKey"`
		}{k.ID, k.Public})
	}
	c.JSON(http.StatusOK, out)
}

// wake lets a subscription's workflow see what was changed. When that fails nothing is lost: workers look for
// subscriptions that nobody woke.
func (s *Server) wake(c *gin.Context, id int64) {
	ctx := context.WithoutCancel(c.Request.Context())
	if err := s.Subscribers.WakeSubscription(ctx, id); err != nil {
		s.Log.WarnContext(ctx, "subscription not woken", "subscription", id, "error", err.Error())
	}
}

// maybe is a condition on the reference's paths, whose clients know none.
func maybe(match *string) (models.Condition, error) {
	cond, err := condition(match, nil)
	cond.Unconditional = true
	return cond, err
}

// readSubscription reads and checks what the caller wants to be told, and where.
func (s *Server) readSubscription(c *gin.Context) (models.Subscription, error) {
	var body contract.SubscriptionRequest
	n := models.Subscription{Party: caller(c)}
	if err := readJSON(c, &body, false); err != nil {
		return n, err
	}
	n.EndPoint, n.SourceFilter = body.EndPoint, value(body.SourceFilter)
	n.ResourceID, n.SubjectFilter = models.ResourceID(value(body.ResourceFilter)), value(body.SubjectFilter)
	n.TypeFilter = []string{}
	for kind := range strings.SplitSeq(value(body.TypeFilter), ",") {
		if kind = strings.TrimSpace(kind); kind != "" {
			n.TypeFilter = append(n.TypeFilter, models.ShortType(kind).FullType())
		}
	}
	if err := n.CheckFilters(models.EventSource(s.PublicURL)); err != nil {
		return n, err
	}
	if other := value(body.AlternativeSubjectFilter); other != "" && other != organisationPath(n.Party) {
		return n, models.InvalidField("alternativeSubjectFilter", "An organisation is told of its own events only; its path is "+organisationPath(n.Party)+".")
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []any{n.EndPoint, n.SourceFilter, n.ResourceID, n.SubjectFilter, n.TypeFilter}))
	n.RequestHash = hex.EncodeToString(sum[:])
	return n, s.Webhooks.Check(c.Request.Context(), n.EndPoint)
}

// finishSubscription answers with a subscription as it is now, and its newest secret if that is new to the caller.
func (s *Server) finishSubscription(c *gin.Context, status int, id int64, withSecret bool, err error) {
	var v models.SubscriptionView
	if err == nil {
		v, err = s.Subscriptions.SubscriptionOf(c.Request.Context(), caller(c), id)
	}
	out := subscriptionOf(v)
	if err == nil && withSecret {
		var secret string
		secret, err = s.Webhooks.Secret(v.Party, v.Secrets[0].Sealed)
		out.Secrets = []string{secret}
	}
	s.finish(c, err, func() { entry(c, status, v.Version, out) })
}

// organisationPath is how Altinn names an organisation in subscriptions.
func organisationPath(p models.Party) string { return "/organisation/" + p.Number() }

func subscriptionOf(v models.SubscriptionView) contract.Subscription {
	return contract.Subscription{
		ID: v.ID, EndPoint: v.EndPoint, SourceFilter: textOrNone(v.SourceFilter), ResourceFilter: textOrNone(models.ResourceURN(v.ResourceID)),
		SubjectFilter: textOrNone(v.SubjectFilter), TypeFilter: textOrNone(strings.Join(v.TypeFilter, ",")),
		Consumer: organisationPath(v.Party), CreatedBy: organisationPath(v.Party), Created: v.Created.UTC(), Validated: v.Validated != nil,
		Status: contract.SubscriptionStatus(v.Status), Cursor: v.Cursor, Lag: max(v.Lag, 0), LastError: textOrNone(v.LastError),
		FailingSince: utc(v.FailingSince), NextAttempt: utc(v.NextAttempt), LastDelivered: utc(v.LastDelivered),
		LastEventID: v.LastEventID, Etag: tag(v.Version),
	}
}

func textOrNone(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
