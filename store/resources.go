package store

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// change runs fn in one transaction of the registry. It has connections of its own, so that taking a right
// away never waits behind uploads. The credential must still be one that its organisation lets act: whoever
// holds a request's body back must not outlive a lock that was set meanwhile.
func (s *Store) change(ctx context.Context, what string, by models.Caller, fn func(tx *gorm.DB) error) error {
	return s.changeHolding(ctx, what, by, heldShared, fn)
}

// changeOwn is change for what the organisation says of itself: nobody decides by it, or changes it, meanwhile.
func (s *Store) changeOwn(ctx context.Context, what string, by models.Caller, fn func(tx *gorm.DB) error) error {
	return s.changeHolding(ctx, what, by, heldAlone, fn)
}

func (s *Store) changeHolding(ctx context.Context, what string, by models.Caller, lock string, fn func(tx *gorm.DB) error) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return unavailable(what, s.registry.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := s.hold(tx, lock, []string{organisationHold(by.Holder())}); err != nil {
			return err
		}
		if err := lockPermits(tx, by); err != nil {
			return err
		}
		return fn(tx)
	}))
}

// InsertServiceOwner registers the caller's organisation as a service owner. models.ErrOwnerExists for the second time.
func (s *Store) InsertServiceOwner(ctx context.Context, by models.Caller, name string) error {
	return s.change(ctx, "insert service owner", by, func(tx *gorm.DB) error {
		o := models.ServiceOwner{Organisation: by.Party, Name: name, Created: s.clock()}
		done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&o)
		if done.Error == nil && done.RowsAffected == 0 {
			return models.ErrOwnerExists
		}
		if done.Error != nil {
			return done.Error
		}
		_, err := s.record(tx, by, models.Change{Chain: by.Party, Action: "owner.put", Subject: "owner/" + string(by.Party), After: o})
		return err
	})
}

// ServiceOwner returns a service owner, or models.ErrOwnerNotFound.
func (s *Store) ServiceOwner(ctx context.Context, organisation models.Party) (models.ServiceOwner, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var o models.ServiceOwner
	err := s.read.WithContext(ctx).Take(&o, "organisation = ?", organisation).Error
	return o, unavailable("read service owner", absent(err, models.ErrOwnerNotFound))
}

// absent makes GORM's not-found error one of ours.
func absent(err error, ours *models.Error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return ours
	}
	return err
}

// ResourceByID returns a service, or models.ErrResourceNotConfigured.
func (s *Store) ResourceByID(ctx context.Context, id string) (models.Resource, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	r, err := resource(s.read.WithContext(ctx), id)
	return r, unavailable("read resource", err)
}

func resource(db *gorm.DB, id string) (models.Resource, error) {
	var r models.Resource
	err := db.Take(&r, "id = ?", id).Error
	return r, absent(err, models.ErrResourceNotConfigured)
}

// ResourcesOf lists an owner's services by id, those after one.
func (s *Store) ResourcesOf(ctx context.Context, owner models.Party, after string, limit int) ([]models.Resource, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []models.Resource
	err := s.read.WithContext(ctx).Order("id").Limit(limit).Find(&out, "owner = ? AND id > ?", owner, after).Error
	return out, unavailable("list resources", err)
}

// PutResource makes a service of the caller, or changes the fields that the patch gives. The first to name a
// service owns it for ever: models.ErrNoAccess for anyone else, models.ErrOwnerNotConfigured for who is no
// service owner yet.
func (s *Store) PutResource(ctx context.Context, by models.Caller, id string, patch models.ResourcePatch, cond models.Condition) (models.Resource, error) {
	var out models.Resource
	err := s.change(ctx, "put resource", by, func(tx *gorm.DB) error {
		before, err := s.holdResource(tx, by.Party, id)
		if errors.Is(err, models.ErrResourceNotConfigured) {
			before, err = s.newResource(tx, by.Party, id)
		}
		if err != nil {
			return err
		}
		if err := cond.Check(before.Version); err != nil {
			return err
		}
		if out, err = before.Apply(patch, s.clock()); err != nil {
			return err
		}
		c := models.Change{Chain: by.Party, ResourceID: id, Action: "resource.put", Subject: "resource/" + id, After: out}
		if before.Version != 0 {
			c.Before = before
		}
		if out.Version, err = s.record(tx, by, c); err != nil {
			return err
		}
		out.Updated = s.clock()
		return tx.Save(&out).Error
	})
	return out, err
}

// newResource inserts a service, unless somebody else did meanwhile. The owner's row is held, so that two new
// services at once do not pass the quota together.
func (s *Store) newResource(tx *gorm.DB, owner models.Party, id string) (models.Resource, error) {
	made := models.NewResource(id, owner)
	if err := models.CheckNewResourceID(id); err != nil {
		return made, err
	}
	if err := lockOwner(tx, owner); err != nil {
		return made, err
	}
	if err := underQuota(tx.Model(&models.Resource{}).Where("owner = ?", owner), "services", s.quotas.Services, 1); err != nil {
		return made, err
	}
	made.Created, made.Updated = s.clock(), s.clock()
	done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&made)
	if done.Error != nil || done.RowsAffected > 0 {
		return made, done.Error
	}
	if made, err := s.holdResource(tx, owner, id); !errors.Is(err, models.ErrResourceNotConfigured) {
		return made, err
	}
	return made, models.InvalidField("resourceId", "There is a service of this name; small and capital letters make no difference.")
}

// underQuota refuses to add more rows to a query than a quota allows.
func underQuota(rows *gorm.DB, what string, limit, more int64) error {
	var have int64
	if err := rows.Count(&have).Error; err != nil {
		return err
	}
	if have+more > limit {
		return models.ErrQuota(what, limit, have+more)
	}
	return nil
}

// holdResource reads a service of this owner for change. Whoever changes the service or its rights holds it
// alone, so that AcceptTransfer sees the change whole or not at all.
func (s *Store) holdResource(tx *gorm.DB, owner models.Party, id string) (models.Resource, error) {
	r, err := resource(tx, id)
	if err == nil && r.Owner != owner { // an owner is one for ever: others do not even get the hold
		return r, models.ErrNoAccess
	}
	if err := s.alone(tx, resourceHold(id)); err != nil {
		return r, err
	}
	if r, err = resource(tx, id); err == nil && r.Owner != owner {
		return r, models.ErrNoAccess
	}
	return r, err
}

// ownResource refuses who is not the owner of a service.
func (s *Store) ownResource(ctx context.Context, owner models.Party, id string) error {
	r, err := s.ResourceByID(ctx, id)
	if err == nil && r.Owner != owner {
		return models.ErrNoAccess
	}
	return err
}
