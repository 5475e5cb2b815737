package subscriptions

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
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/feed"
	"github.com/formidling/formidling/store/registry"
)

// InsertSubscription stores a subscription of the caller that hears of what happens from now on, under an ID that it
// chooses. With an idempotency key that the caller used before nothing is stored: the earlier one comes back, or
// models.ErrKeyReused when it was another request.
func (s *Subscriptions) InsertSubscription(ctx context.Context, by models.Caller, n models.Subscription) (put models.Subscription, created bool, err error) {
	n.Party, n.Status = by.Party, models.SubscriptionUnvalidated
	a := amendment(by, 0, models.Condition{})
	a.What, a.Change.Action = "insert subscription", "subscription.put"
	a.Read = func(tx *db.Tx) (*models.Subscription, error) {
		if err := tx.LockAlone(db.SubscriptionsLock(by.Party)); err != nil {
			return nil, err
		}
		var err error
		put, err = subscriptionByKey(tx, n)
		return nil, err
	}
	a.Judge = func(tx *db.Tx, _ *models.Subscription) (changes []models.Change, err error) {
		if created = put.ID == 0; !created {
			return nil, nil
		}
		n.Created = tx.Now()
		n.Busy = &n.Created // the caller wakes it; who dies before that leaves it overdue
		if n.Cursor, err = feed.Head(tx, by.Party); err == nil {
			n.ID, err = freeID(tx)
		}
		return []models.Change{{Subject: subject(n.ID), After: n}}, err
	}
	a.Quota = func(tx *db.Tx) error {
		theirs := tx.Model(&models.Subscription{}).Where("party = ? AND status <> ?", by.Party, models.SubscriptionDeleted)
		return registry.UnderQuota(theirs, "subscriptions", s.registry.Quotas().Subscriptions, 1)
	}
	a.Write = func(tx *db.Tx, version int64) error {
		n.Version = version
		put = n
		return tx.Create(&n).Error
	}
	err = registry.Amend(ctx, s.registry, by, a)
	return put, created, err
}

// subscriptionByKey finds what was made with the same key; its ID is 0 when there is none.
func subscriptionByKey(tx *db.Tx, n models.Subscription) (models.Subscription, error) {
	var found []models.Subscription
	if n.IdempotencyKey == nil {
		return models.Subscription{}, nil
	}
	err := tx.Limit(1).Find(&found, "party = ? AND idempotency_key = ?", n.Party, *n.IdempotencyKey).Error
	switch {
	case err != nil || len(found) == 0:
		return models.Subscription{}, err
	case !models.SameRequest(found[0].RequestHash, n.RequestHash, n.EarlierHash):
		return models.Subscription{}, models.ErrKeyReused
	}
	return found[0], nil
}

// freeID makes an ID at random, so that it tells nobody how many there are.
func freeID(tx *db.Tx) (int64, error) {
	for {
		var n int64
		id := 1 + rand.Int64N(models.MaxSubscriptionID) //nolint:gosec // G404: no secret; whoever guesses it is told nothing
		if err := tx.Model(&models.Subscription{}).Where("id = ?", id).Count(&n).Error; err != nil || n == 0 {
			return id, err
		}
	}
}

func subject(id int64) string { return fmt.Sprintf("subscription/%d", id) }

// amendment is that of a subscription of the caller, which no supplier has a hand in.
func amendment(by models.Caller, id int64, cond models.Condition) registry.Amendment[models.Subscription] {
	return registry.Amendment[models.Subscription]{
		What: "change subscription", Condition: cond, Change: models.Change{Chain: by.Party, Subject: subject(id)},
	}
}

// SubscriptionsOf lists an organisation's subscriptions by ID, those after one.
func (s *Subscriptions) SubscriptionsOf(ctx context.Context, party models.Party, after int64, limit int) ([]models.SubscriptionView, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.SubscriptionView
	err := s.viewSubscriptions(ctx).Order("id").Limit(limit).
		Find(&out, "party = ? AND id > ? AND status <> ?", party, after, models.SubscriptionDeleted).Error
	return out, db.Unavailable("list subscriptions", err)
}

// SubscriptionOf returns one subscription of an organisation, or models.ErrSubscriptionNotFound.
func (s *Subscriptions) SubscriptionOf(ctx context.Context, party models.Party, id int64) (models.SubscriptionView, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out models.SubscriptionView
	err := s.viewSubscriptions(ctx).Take(&out, "party = ? AND id = ? AND status <> ?", party, id, models.SubscriptionDeleted).Error
	return out, db.Unavailable("read subscription", db.Absent(err, models.ErrSubscriptionNotFound))
}

func (s *Subscriptions) viewSubscriptions(ctx context.Context) *gorm.DB {
	return s.db.Read(ctx).Model(&models.Subscription{}).
		Select("subscriptions.*, coalesce((SELECT last FROM party_sequences q WHERE q.party = subscriptions.party), 0) - subscriptions.cursor AS lag")
}

// RotateSubscription gives a subscription a new secret; the one before signs beside it for the overlap.
func (s *Subscriptions) RotateSubscription(ctx context.Context, by models.Caller, id int64, sealed string, overlap time.Duration, cond models.Condition) (models.Subscription, error) {
	return s.changeSubscription(ctx, by, id, "subscription.rotate", cond, func(tx *db.Tx, n *models.Subscription) error {
		n.Rotate(sealed, tx.Now().Add(overlap))
		return nil
	})
}

// EnableSubscription lets a subscription be tried again, from where it stopped.
func (s *Subscriptions) EnableSubscription(ctx context.Context, by models.Caller, id int64, cond models.Condition) (models.Subscription, error) {
	return s.changeSubscription(ctx, by, id, "subscription.enable", cond, func(_ *db.Tx, n *models.Subscription) error {
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
func (s *Subscriptions) ReplaySubscription(ctx context.Context, by models.Caller, id int64, event uuid.UUID, cond models.Condition) (models.Subscription, error) {
	return s.changeSubscription(ctx, by, id, "subscription.replay", cond, func(tx *db.Tx, n *models.Subscription) error {
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
func (s *Subscriptions) DeleteSubscription(ctx context.Context, by models.Caller, id int64, cond models.Condition) error {
	_, err := s.changeSubscription(ctx, by, id, "subscription.delete", cond, func(_ *db.Tx, n *models.Subscription) error {
		n.Status, n.Secrets, n.NextAttempt, n.IdempotencyKey = models.SubscriptionDeleted, []models.SealedSecret{}, nil, nil
		return nil
	})
	return err
}

// changeSubscription changes a locked subscription of the caller and audits that.
func (s *Subscriptions) changeSubscription(ctx context.Context, by models.Caller, id int64, action string, cond models.Condition,
	do func(tx *db.Tx, n *models.Subscription) error,
) (after models.Subscription, err error) {
	a := amendment(by, id, cond)
	a.Change.Action = action
	a.Read = func(tx *db.Tx) (*models.Subscription, error) {
		n, err := lockSubscription(tx, id)
		if err == nil && (n.Party != by.Party || n.Status == models.SubscriptionDeleted) {
			err = models.ErrSubscriptionNotFound
		}
		return &n, err
	}
	a.Judge = func(tx *db.Tx, before *models.Subscription) ([]models.Change, error) {
		after = *before
		now := tx.Now()
		after.Busy = &now // who changes it wakes it; who dies before that leaves it overdue
		if err := do(tx, &after); err != nil {
			return nil, err
		}
		c := models.Change{After: after}
		if after.Status == models.SubscriptionDeleted {
			c.After = nil
		}
		return []models.Change{c}, nil
	}
	a.Write = func(tx *db.Tx, version int64) error {
		after.Version = version
		return tx.Save(&after).Error
	}
	err = registry.Amend(ctx, s.registry, by, a)
	return after, err
}

// lockSubscription reads a subscription for change.
func lockSubscription(tx *db.Tx, id int64) (models.Subscription, error) {
	var n models.Subscription
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Take(&n, "id = ?", id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = models.ErrSubscriptionNotFound
	}
	return n, err
}
