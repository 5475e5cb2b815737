package activities

import (
	"context"
	"time"

	"github.com/formidling/formidling/models"
)

// Subscriptions keeps how far each subscription has come. Every method is one transaction; those that return a bool
// say no when the subscription is not any more as it was given.
type Subscriptions interface {
	Subscription(ctx context.Context, id int64) (models.Subscription, error)
	SubscriptionRests
	ValidateSubscription(ctx context.Context, n models.Subscription) (bool, error)
	AdvanceSubscription(ctx context.Context, n models.Subscription, e models.Event) (bool, error)
	FailSubscription(ctx context.Context, n models.Subscription, e *models.Event, why string, next time.Time, final bool) (disabled bool, err error)
	RemoveSubscription(ctx context.Context, id int64) error
}

// SubscriptionRests lets a subscription wait to be woken, and takes it back to work.
type SubscriptionRests interface {
	RestSubscription(ctx context.Context, n models.Subscription, head int64) (bool, error)
	ResumeSubscription(ctx context.Context, id int64) (bool, error)
}

// Feed is what organisations are told of, in order.
type Feed interface {
	EventsAfter(ctx context.Context, party models.Party, afterSeq int64, filter models.EventFilter, limit int) ([]models.Event, error)
	FeedHead(ctx context.Context, party models.Party) (int64, error)
	WatchEvents(party models.Party) (wake <-chan struct{}, stop func())
}

// Sender makes one attempt to deliver a message. An error is a fault of ours; the endpoint's stand in the answer.
type Sender interface {
	Send(ctx context.Context, m models.Message) (models.Answer, error)
}

// Webhooks are the activities of subscriptions, registered by worker.RegisterWebhooks.
type Webhooks struct {
	subscriptions Subscriptions
	feed          Feed
	sender        Sender
	publicURL     string // how clients reach the API
	now           func() time.Time
}

// NewWebhooks connects the activities of subscriptions to their ports.
func NewWebhooks(s Subscriptions, f Feed, sender Sender, publicURL string, now func() time.Time) *Webhooks {
	return &Webhooks{subscriptions: s, feed: f, sender: sender, publicURL: publicURL, now: now}
}
