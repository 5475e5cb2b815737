package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// validationSpace makes the ids of validation events.
var validationSpace = uuid.MustParse("9b1f6f0e-3b0e-5d59-8f0a-8c1d3b1c7f22")

// TestInput names the subscription to test, and the event to send.
type TestInput struct {
	ID    int64
	Event uuid.UUID
}

// SendTestEvent sends an event that is in no feed to a subscription's endpoint, whatever its status. It moves nothing.
// Safe to repeat: it is the same event.
func (w *Webhooks) SendTestEvent(ctx context.Context, in TestInput) (models.TestResult, error) {
	n, err := w.subscriptions.Subscription(ctx, in.ID)
	if err == nil && n.Status == models.SubscriptionDeleted {
		err = models.ErrSubscriptionNotFound
	}
	if err != nil {
		return models.TestResult{}, Refusal(err)
	}
	began := w.now()
	body, err := w.subscriptionEvent(n, models.EventTestSubscription, in.Event, began)
	if err != nil {
		return models.TestResult{}, err
	}
	answer, err := w.sender.Send(ctx, w.message(n, in.Event, body))
	if err != nil {
		return models.TestResult{}, err
	}
	if answer.Busy {
		return models.TestResult{}, errors.New("send test event: other events are being sent to the same host")
	}
	return models.TestResult{
		EventID: in.Event, Delivered: answer.Delivered(), Status: answer.Status, Error: answer.Fault, TookMillis: w.now().Sub(began).Milliseconds(),
	}, nil
}

// subscriptionEvent is an event about a subscription itself.
func (w *Webhooks) subscriptionEvent(n models.Subscription, kind string, id uuid.UUID, at time.Time) ([]byte, error) {
	e := models.CloudEvent{
		ID: id.String(), Source: models.SubscriptionSource(w.publicURL, n.ID), Type: kind, Time: at.UTC(), Subject: n.Party.URN(),
		Resource: models.ResourceURN(n.ResourceID), Data: map[string]string{"subscription": fmt.Sprint(n.ID)},
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write event: %w", err)
	}
	return body, nil
}

func (w *Webhooks) message(n models.Subscription, id uuid.UUID, body []byte) models.Message {
	return models.Message{ID: id, Party: n.Party, EndPoint: n.EndPoint, Secrets: n.Signing(w.now()), Body: body}
}
