package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// InsertSubscription stores a subscription of the caller that hears of what happens from now on, under an ID that it
// chooses. With an idempotency key that the caller used before nothing is stored: the earlier one comes back, or
// models.ErrKeyReused when it was another request.
func (s *Store) InsertSubscription(ctx context.Context, by models.Caller, n models.Subscription) (put models.Subscription, created bool, err error) {
	n.Party, n.Status, n.Created = by.Party, models.SubscriptionUnvalidated, s.clock()
	n.Busy = &n.Created // the caller wakes it; who dies before that leaves it overdue
	err = s.change(ctx, "insert subscription", by, func(tx *gorm.DB) (err error) {
		created = false
		if err := s.alone(tx, "subscriptions/"+string(by.Party)); err != nil {
			return err
		}
		put, err = subscriptionByKey(tx, n)
		if err != nil || put.ID != 0 {
			return err
		}
		theirs := tx.Model(&models.Subscription{}).Where("party = ? AND status <> ?", by.Party, models.SubscriptionDeleted)
		if err := underQuota(theirs, "subscriptions", s.quotas.Subscriptions, 1); err != nil {
			return err
		}
		if n.Cursor, err = feedHead(tx, by.Party); err == nil {
			n.ID, err = freeSubscriptionID(tx)
		}
		if err != nil {
			return err
		}
		if n.Version, err = s.record(tx, by, subscriptionChange(n, "subscription.put", nil, n)); err != nil {
			return err
		}
		put, created = n, true
		return tx.Create(&n).Error
	})
	return put, created, err
}

// subscriptionByKey finds what was made with the same key; its ID is 0 when there is none.
func subscriptionByKey(tx *gorm.DB, n models.Subscription) (models.Subscription, error) {
	var found []models.Subscription
	if n.IdempotencyKey == nil {
		return models.Subscription{}, nil
	}
	err := tx.Limit(1).Find(&found, "party = ? AND idempotency_key = ?", n.Party, *n.IdempotencyKey).Error
	switch {
	case err != nil || len(found) == 0:
		return models.Subscription{}, err
	case found[0].RequestHash != n.RequestHash:
		return models.Subscription{}, models.ErrKeyReused
	}
	return found[0], nil
}

// freeSubscriptionID makes an ID at random, so that it tells nobody how many there are.
func freeSubscriptionID(tx *gorm.DB) (int64, error) {
	for {
		var n int64
		id := 1 + rand.Int64N(models.MaxSubscriptionID) //nolint:gosec // G404: no secret; whoever guesses it is told nothing
		if err := tx.Model(&models.Subscription{}).Where("id = ?", id).Count(&n).Error; err != nil || n == 0 {
			return id, err
		}
	}
}

func subscriptionChange(n models.Subscription, action string, before, after models.Audited) models.Change {
	return models.Change{Chain: n.Party, Action: action, Subject: fmt.Sprintf("subscription/%d", n.ID), Before: before, After: after}
}

// feedHead is the number of a party's newest event; 0 when there is none.
func feedHead(tx *gorm.DB, party models.Party) (int64, error) {
	var head int64
	err := tx.Raw("SELECT coalesce(max(last), 0) FROM party_sequences WHERE party = ?", party).Scan(&head).Error
	return head, err
}

// SubscriptionsOf lists an organisation's subscriptions by ID, those after one.
func (s *Store) SubscriptionsOf(ctx context.Context, party models.Party, after int64, limit int) ([]models.SubscriptionView, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []models.SubscriptionView
	err := s.viewSubscriptions(ctx).Order("id").Limit(limit).
		Find(&out, "party = ? AND id > ? AND status <> ?", party, after, models.SubscriptionDeleted).Error
	return out, unavailable("list subscriptions", err)
}

// SubscriptionOf returns one subscription of an organisation, or models.ErrSubscriptionNotFound.
func (s *Store) SubscriptionOf(ctx context.Context, party models.Party, id int64) (models.SubscriptionView, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out models.SubscriptionView
	err := s.viewSubscriptions(ctx).Take(&out, "party = ? AND id = ? AND status <> ?", party, id, models.SubscriptionDeleted).Error
	return out, unavailable("read subscription", absent(err, models.ErrSubscriptionNotFound))
}

func (s *Store) viewSubscriptions(ctx context.Context) *gorm.DB {
	return s.read.WithContext(ctx).Model(&models.Subscription{}).
		Select("subscriptions.*, coalesce((SELECT last FROM party_sequences q WHERE q.party = subscriptions.party), 0) - subscriptions.cursor AS lag")
}

// RotateSubscription gives a subscription a new secret; the one before signs beside it for the overlap.
func (s *Store) RotateSubscription(ctx context.Context, by models.Caller, id int64, sealed string, overlap time.Duration, cond models.Condition) (models.Subscription, error) {
	return s.changeSubscription(ctx, by, id, "subscription.rotate", cond, func(_ *gorm.DB, n *models.Subscription) error {
		n.Rotate(sealed, s.clock().Add(overlap))
		return nil
	})
}

// EnableSubscription lets a subscription be tried again, from where it stopped.
func (s *Store) EnableSubscription(ctx context.Context, by models.Caller, id int64, cond models.Condition) (models.Subscription, error) {
	return s.changeSubscription(ctx, by, id, "subscription.enable", cond, func(_ *gorm.DB, n *models.Subscription) error {
		if n.Status == models.SubscriptionDisabled {
			n.Status = models.SubscriptionUnvalidated
			if n.Validated != nil {
				n.Status = models.SubscriptionActive
			}
		}
		n.FailingSince, n.NextAttempt = nil, nil
		return nil
	})
}

// ReplaySubscription tells a subscription's endpoint again of one event and all that followed it.
// models.ErrNoSuchEvent when its organisation was told of no event with that ID.
func (s *Store) ReplaySubscription(ctx context.Context, by models.Caller, id int64, event uuid.UUID, cond models.Condition) (models.Subscription, error) {
	return s.changeSubscription(ctx, by, id, "subscription.replay", cond, func(tx *gorm.DB, n *models.Subscription) error {
		var seqs []int64
		err := tx.Model(&models.Event{}).Where("id = ? AND party = ?", event, by.Party).Limit(1).Pluck("seq", &seqs).Error
		if err == nil && len(seqs) == 0 {
			err = models.ErrNoSuchEvent
		}
		if err != nil {
			return err
		}
		n.Cursor, n.NextAttempt = seqs[0]-1, nil
		return nil
	})
}

// DeleteSubscription ends a subscription at once; its secrets are gone. Its workflow removes the row.
func (s *Store) DeleteSubscription(ctx context.Context, by models.Caller, id int64, cond models.Condition) error {
	_, err := s.changeSubscription(ctx, by, id, "subscription.delete", cond, func(_ *gorm.DB, n *models.Subscription) error {
		n.Status, n.Secrets, n.NextAttempt, n.IdempotencyKey = models.SubscriptionDeleted, []models.SealedSecret{}, nil, nil
		return nil
	})
	return err
}

// changeSubscription changes a locked subscription of the caller and audits that.
func (s *Store) changeSubscription(ctx context.Context, by models.Caller, id int64, action string, cond models.Condition,
	do func(tx *gorm.DB, n *models.Subscription) error,
) (after models.Subscription, err error) {
	err = s.change(ctx, "change subscription", by, func(tx *gorm.DB) error {
		n, err := lockSubscription(tx, id)
		if err == nil && (n.Party != by.Party || n.Status == models.SubscriptionDeleted) {
			err = models.ErrSubscriptionNotFound
		}
		if err == nil {
			err = cond.Check(n.Version)
		}
		if err != nil {
			return err
		}
		now := s.clock()
		n.Busy = &now // who changes it wakes it; who dies before that leaves it overdue
		c := subscriptionChange(n, action, n, nil)
		if err := do(tx, &n); err != nil {
			return err
		}
		if n.Status != models.SubscriptionDeleted {
			c.After = n
		}
		if n.Version, err = s.record(tx, by, c); err != nil {
			return err
		}
		after = n
		return tx.Save(&n).Error
	})
	return after, err
}

// lockSubscription reads a subscription for change.
func lockSubscription(tx *gorm.DB, id int64) (models.Subscription, error) {
	var n models.Subscription
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Take(&n, "id = ?", id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = models.ErrSubscriptionNotFound
	}
	return n, err
}
