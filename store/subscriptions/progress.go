package subscriptions

import (
	"context"
	"slices"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/receipts"
)

// claimBatch bounds how many subscriptions one statement wakes.
const claimBatch = 500

// overdueAfter is how long a workflow may be silent before it is woken again. An attempt takes at most some ten
// seconds.
const overdueAfter = 30 * time.Second

// Subscription returns a subscription in any status, or models.ErrSubscriptionNotFound.
func (s *Subscriptions) Subscription(ctx context.Context, id int64) (models.Subscription, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var n models.Subscription
	err := s.db.Read(ctx).Take(&n, "id = ?", id).Error
	return n, db.Unavailable("read subscription", db.Absent(err, models.ErrSubscriptionNotFound))
}

// AdvanceSubscription notes that an event was delivered to a subscription that stood at n.Cursor, and for the transfer
// of a file on offer that its recipient was notified. False when it stands there no more: its owner moved it, or another
// attempt was faster.
func (s *Subscriptions) AdvanceSubscription(ctx context.Context, n models.Subscription, e models.Event) (moved bool, err error) {
	err = s.db.Transact(ctx, "advance subscription", func(tx *db.Tx) error {
		now := tx.Now()
		done := at(tx.DB, n).Updates(map[string]any{
			"cursor": e.Seq, "last_event_id": e.ID, "last_delivered": now, "busy": now,
			"failing_since": nil, "next_attempt": nil, "last_error": "",
		})
		if moved = done.RowsAffected == 1; !moved {
			return done.Error
		}
		return noteWebhook(tx, n, e, "")
	})
	return moved, err
}

// webhookChannel is one for all of a recipient's subscriptions: their ids are nobody else's business, and a new one is no
// news to the sender.
const webhookChannel = "webhook"

// noteWebhook appends the fact that a recipient was told by a webhook of a file on offer, or why not. Other events are
// of no interest to a transfer's receipts.
func noteWebhook(tx *db.Tx, n models.Subscription, e models.Event, failed string) error {
	if e.Type != models.EventPublished || e.Role != models.RoleRecipient {
		return nil
	}
	return receipts.NoteNotification(tx, models.Notification{
		TransferID: e.TransferID, Party: n.Party, Channel: webhookChannel, Failed: failed, At: tx.Now(),
	})
}

// ValidateSubscription notes that the endpoint answered the validation event. False when it waits for that no more.
func (s *Subscriptions) ValidateSubscription(ctx context.Context, n models.Subscription) (bool, error) {
	now := s.db.Now()
	return s.updateSubscription(ctx, n, map[string]any{
		"status": models.SubscriptionActive, "validated": now, "busy": now,
		"failing_since": nil, "next_attempt": nil, "last_error": "",
	})
}

// RestSubscription notes that a subscription has nothing to tell up to head, and waits to be woken. False when it was
// changed meanwhile.
func (s *Subscriptions) RestSubscription(ctx context.Context, n models.Subscription, head int64) (bool, error) {
	return s.updateSubscription(ctx, n, map[string]any{"cursor": max(head, n.Cursor), "busy": nil})
}

// ResumeSubscription takes a subscription that waits to be woken back to work. False when somebody else did.
func (s *Subscriptions) ResumeSubscription(ctx context.Context, id int64) (bool, error) {
	claimed, err := s.claim(ctx, []int64{id}, "busy IS NULL")
	return len(claimed) == 1, err
}

// at is a subscription that is where it was when it was read.
func at(g *gorm.DB, n models.Subscription) *gorm.DB {
	return g.Model(&models.Subscription{}).Where("id = ? AND cursor = ? AND status = ?", n.ID, n.Cursor, n.Status)
}

// updateSubscription changes a subscription that is where it was when it was read.
func (s *Subscriptions) updateSubscription(ctx context.Context, n models.Subscription, to map[string]any) (bool, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	done := at(s.db.Write(ctx), n).Updates(to)
	return done.RowsAffected == 1, db.Unavailable("update subscription", done.Error)
}

// FailSubscription notes that an endpoint did not take an event (nil: the validation event), why, and when it is tried
// again. When it has failed for models.GiveUpAfter, or is final, the subscription is disabled instead, and its
// organisation told so by an event.
func (s *Subscriptions) FailSubscription(ctx context.Context, n models.Subscription, e *models.Event, why string, next time.Time, final bool) (disabled bool, err error) {
	err = s.db.Transact(ctx, "fail subscription", func(tx *db.Tx) error {
		disabled = false
		now := tx.Now()
		stored, err := lockSubscription(tx, n.ID)
		if err != nil || stored.Cursor != n.Cursor || stored.Status != n.Status || n.Status == models.SubscriptionDisabled {
			return err // it was moved, disabled or deleted meanwhile
		}
		if stored.FailingSince == nil {
			stored.FailingSince = &now
		}
		stored.LastError, stored.Busy, stored.NextAttempt = why, &now, &next
		if disabled = final || now.Sub(*stored.FailingSince) >= models.GiveUpAfter; disabled {
			stored.Status, stored.NextAttempt, stored.Busy = models.SubscriptionDisabled, nil, nil
		}
		if err := tx.Save(&stored).Error; err != nil || !disabled || e == nil {
			return err
		}
		if err := noteWebhook(tx, n, *e, "its endpoint did not take it, and was given up"); err != nil {
			return err
		}
		tx.Event(models.Notice{
			To: n.Party, Role: e.Role, Type: models.EventSubscriptionDisabled, Transfer: e.TransferID, Resource: e.ResourceID,
			Detail: strconv.FormatInt(n.ID, 10),
		})
		return nil
	})
	return disabled, err
}

// RemoveSubscription forgets a deleted subscription. Safe to repeat.
func (s *Subscriptions) RemoveSubscription(ctx context.Context, id int64) error {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	err := s.db.Write(ctx).Delete(&models.Subscription{}, "id = ? AND status = ?", id, models.SubscriptionDeleted).Error
	return db.Unavailable("remove subscription", err)
}

// ClaimSubscriptions returns the subscriptions of organisations with new events that wait to be woken. Whoever gets
// one must wake it; nobody else gets it until it waits again, or is overdue.
func (s *Subscriptions) ClaimSubscriptions(ctx context.Context, parties []models.Party) ([]int64, error) {
	const waiting = "busy IS NULL AND status = 'active'"
	var claimed []int64
	for batch := range slices.Chunk(parties, claimBatch) {
		ids, err := s.findSubscriptions(ctx, waiting+" AND party IN ?", batch)
		if err == nil {
			ids, err = s.claim(ctx, ids, waiting)
		}
		if err != nil {
			return claimed, err
		}
		claimed = append(claimed, ids...)
	}
	return claimed, nil
}

// ClaimOverdueSubscriptions returns subscriptions that have work to do and nobody does it: whoever should have woken
// them died, or somebody ended their workflow.
func (s *Subscriptions) ClaimOverdueSubscriptions(ctx context.Context) ([]int64, error) {
	const overdue = `(busy IS NULL OR busy < ?) AND (next_attempt IS NULL OR next_attempt < ?) AND (status IN ('unvalidated', 'deleted')
		OR status = 'active' AND cursor < (SELECT last FROM party_sequences q WHERE q.party = subscriptions.party))`
	before := s.db.Now().Add(-overdueAfter)
	ids, err := s.findSubscriptions(ctx, overdue, before, before)
	if err != nil {
		return nil, err
	}
	return s.claim(ctx, ids, overdue, before, before)
}

func (s *Subscriptions) findSubscriptions(ctx context.Context, where string, args ...any) ([]int64, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var ids []int64
	err := s.db.Read(ctx).Model(&models.Subscription{}).Where(where, args...).Order("id").Limit(claimBatch).Pluck("id", &ids).Error
	return ids, db.Unavailable("find subscriptions", err)
}

// claim marks subscriptions as busy for which a condition holds still, one after the other, so that two replicas never
// wait for each other.
func (s *Subscriptions) claim(ctx context.Context, ids []int64, where string, args ...any) (claimed []int64, err error) {
	for _, id := range ids {
		ctx, cancel := db.Bounded(ctx)
		done := s.db.Write(ctx).Model(&models.Subscription{}).Where("id = ?", id).Where(where, args...).Update("busy", s.db.Now())
		cancel()
		if done.Error != nil {
			return claimed, db.Unavailable("claim subscription", done.Error)
		}
		if done.RowsAffected == 1 {
			claimed = append(claimed, id)
		}
	}
	return claimed, nil
}
