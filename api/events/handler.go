package events

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/internal/semaphore"
	"github.com/formidling/formidling/models"
)

// Feed reads events, and wakes who waits for some.
type Feed interface {
	EventsFor(ctx context.Context, by models.Caller, afterSeq int64, f models.EventFilter, limit int) ([]models.Event, error)
	EventPosition(ctx context.Context, party models.Party, id uuid.UUID) (seq int64, err error)
	WatchEvents(party models.Party) (wake <-chan struct{}, stop func())
}

// Subscriptions keeps who wants to be notified of events.
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

// Rights answers whether a caller may act at all, and what it may look at.
type Rights interface {
	CheckCaller(ctx context.Context, by models.Caller) error
	LookAs(ctx context.Context, resource string, by models.Caller) ([]models.Role, error)
}

// Logins knows who a request is from.
type Logins interface {
	Authenticate(r *http.Request) (models.Caller, error)
}

// Ports is what the room needs of the rest of the program.
type Ports struct {
	Feed          Feed
	Subscriptions Subscriptions
	Subscribers   Subscribers
	Webhooks      Webhooks
	Rights        Rights
	Logins        Logins
	Closing       <-chan struct{} // closed when the process is about to stop; nil: never
	Log           *slog.Logger
}

// Settings are limits of one installation, and its addresses.
type Settings struct {
	PublicURL, MTLSURL string        // how clients reach the API, without certificates and with them
	EventListeners     int           // who may wait for events at once in this process
	Heartbeat          time.Duration // of streams; 0: 15 s
}

// Handler answers the operations on events and subscriptions.
type Handler struct {
	Ports
	Settings
	listeners *semaphore.Keyed[models.Party] // who waits for events
}

// listenersShare is the part of all listeners that one organisation may have.
const listenersShare = 4

// New makes the handlers of events.
func New(p Ports, s Settings) *Handler {
	each := max(1, s.EventListeners/listenersShare)
	return &Handler{Ports: p, Settings: s, listeners: semaphore.New[models.Party](s.EventListeners, each)}
}
