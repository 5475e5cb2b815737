package registry

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// InsertServiceOwner registers the caller's organisation as a service owner. models.ErrOwnerExists for the second time.
func (s *Registry) InsertServiceOwner(ctx context.Context, by models.Caller, name string) error {
	o := models.ServiceOwner{Organisation: by.Party, Name: name}
	return Amend(ctx, s, by, Amendment[models.ServiceOwner]{
		What:   "insert service owner",
		Change: models.Change{Chain: by.Party, Action: "owner.put", Subject: "owner/" + string(by.Party)},
		Read: func(tx *db.Tx) (*models.ServiceOwner, error) {
			found, err := first[models.ServiceOwner](tx.DB, "organisation = ?", by.Party)
			if found != nil {
				err = models.ErrOwnerExists
			}
			return nil, err
		},
		Judge: func(*db.Tx, *models.ServiceOwner) ([]models.Change, error) { return put(o), nil },
		Write: func(tx *db.Tx, _ int64) error {
			o.Created = tx.Now()
			done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&o)
			if done.Error == nil && done.RowsAffected == 0 { // somebody else was faster
				return models.ErrOwnerExists
			}
			return done.Error
		},
	})
}

// ServiceOwner returns a service owner, or models.ErrOwnerNotFound.
func (s *Registry) ServiceOwner(ctx context.Context, organisation models.Party) (models.ServiceOwner, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var o models.ServiceOwner
	err := s.db.Read(ctx).Take(&o, "organisation = ?", organisation).Error
	return o, db.Unavailable("read service owner", db.Absent(err, models.ErrOwnerNotFound))
}

// ResourceByID returns a service, or models.ErrResourceNotConfigured.
func (s *Registry) ResourceByID(ctx context.Context, id string) (models.Resource, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	found, err := resource(s.db.Read(ctx), id)
	return found, db.Unavailable("read resource", err)
}

func resource(g *gorm.DB, id string) (models.Resource, error) {
	var r models.Resource
	err := g.Take(&r, "id = ?", id).Error
	return r, db.Absent(err, models.ErrResourceNotConfigured)
}

// ResourcesOf lists an owner's services by id, those after one.
func (s *Registry) ResourcesOf(ctx context.Context, owner models.Party, after string, limit int) ([]models.Resource, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.Resource
	err := s.db.Read(ctx).Order("id").Limit(limit).Find(&out, "owner = ? AND id > ?", owner, after).Error
	return out, db.Unavailable("list resources", err)
}

// PutResource makes a service of the caller, or changes the fields that the patch gives. The first to name a
// service owns it for ever: models.ErrNoAccess for anyone else, models.ErrOwnerNotConfigured for who is no
// service owner yet.
func (s *Registry) PutResource(ctx context.Context, by models.Caller, id string, patch models.ResourcePatch, cond models.Condition) (models.Resource, error) {
	var out models.Resource
	err := Amend(ctx, s, by, Amendment[models.Resource]{
		What: "put resource", Condition: cond,
		Change: models.Change{Chain: by.Party, ResourceID: id, Action: "resource.put", Subject: "resource/" + id},
		Read: func(tx *db.Tx) (*models.Resource, error) {
			before, err := lockResource(tx, by.Party, id)
			if errors.Is(err, models.ErrResourceNotConfigured) {
				before, err = s.newResource(tx, by.Party, id)
			}
			if err != nil {
				return nil, err
			}
			if out = before; before.Version == 0 {
				return nil, nil
			}
			return &before, nil
		},
		Judge: func(tx *db.Tx, _ *models.Resource) (changes []models.Change, err error) {
			out, err = out.Apply(patch, tx.Now())
			return put(out), err
		},
		Write: func(tx *db.Tx, version int64) error {
			out.Version, out.Updated = version, tx.Now()
			return tx.Save(&out).Error
		},
	})
	return out, err
}

// newResource inserts a service, unless somebody else did meanwhile. The owner's row is locked, so that two new
// services at once do not pass the quota together.
func (s *Registry) newResource(tx *db.Tx, owner models.Party, id string) (models.Resource, error) {
	made := models.NewResource(id, owner)
	if err := models.CheckNewResourceID(id); err != nil {
		return made, err
	}
	if err := lockOwner(tx, owner); err != nil {
		return made, err
	}
	if err := UnderQuota(tx.Model(&models.Resource{}).Where("owner = ?", owner), "services", s.quotas.Services, 1); err != nil {
		return made, err
	}
	made.Created, made.Updated = tx.Now(), tx.Now()
	done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&made)
	if done.Error != nil || done.RowsAffected > 0 {
		return made, done.Error
	}
	if made, err := lockResource(tx, owner, id); !errors.Is(err, models.ErrResourceNotConfigured) {
		return made, err
	}
	return made, models.InvalidField("resourceId", "There is a service of this name; small and capital letters make no difference.")
}

// lockResource reads a service of this owner for change. Whoever changes the service or its rights locks it
// alone, so that AcceptTransfer sees the change whole or not at all.
func lockResource(tx *db.Tx, owner models.Party, id string) (models.Resource, error) {
	r, err := resource(tx.DB, id)
	if err == nil && r.Owner != owner { // an owner is one for ever: others do not even get the lock
		return r, models.ErrNoAccess
	}
	if err := tx.LockAlone(db.ResourceLock(id)); err != nil {
		return r, err
	}
	if r, err = resource(tx.DB, id); err == nil && r.Owner != owner {
		return r, models.ErrNoAccess
	}
	return r, err
}

// ownResource refuses who is not the owner of a service.
func (s *Registry) ownResource(ctx context.Context, owner models.Party, id string) error {
	found, err := s.ResourceByID(ctx, id)
	if err == nil && found.Owner != owner {
		return models.ErrNoAccess
	}
	return err
}
