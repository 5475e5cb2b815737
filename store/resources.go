package store

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// InsertServiceOwner registers an organisation as a service owner. models.ErrOwnerExists for the second time.
func (s *Store) InsertServiceOwner(ctx context.Context, organisation models.Party, name string) error {
	return s.transact(ctx, "insert service owner", func(tx *gorm.DB) error {
		done := tx.Clauses(clause.OnConflict{DoNothing: true}).
			Create(&models.ServiceOwner{Organisation: organisation, Name: name, Created: s.clock()})
		if done.Error == nil && done.RowsAffected == 0 {
			return models.ErrOwnerExists
		}
		return done.Error
	})
}

// ServiceOwner returns a service owner, or models.ErrOwnerNotFound.
func (s *Store) ServiceOwner(ctx context.Context, organisation models.Party) (models.ServiceOwner, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var o models.ServiceOwner
	err := s.read.WithContext(ctx).Take(&o, "organisation = ?", organisation).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = models.ErrOwnerNotFound
	}
	return o, unavailable("read service owner", err)
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
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = models.ErrResourceNotConfigured
	}
	return r, err
}

// PutResource makes a service of its owner, or changes the fields that the patch gives. The first to
// name a service owns it for ever: models.ErrNoAccess for anyone else, models.ErrOwnerNotConfigured
// for who is no service owner yet.
func (s *Store) PutResource(ctx context.Context, owner models.Party, id string, patch models.ResourcePatch) error {
	return s.transact(ctx, "put resource", func(tx *gorm.DB) error {
		var owners []models.ServiceOwner
		if err := tx.Limit(1).Find(&owners, "organisation = ?", owner).Error; err != nil {
			return err
		}
		if len(owners) == 0 {
			return models.ErrOwnerNotConfigured
		}
		now := s.clock()
		made := models.NewResource(id, owner)
		made.Created, made.Updated = now, now
		if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&made).Error; err != nil {
			return err
		}
		r, err := lockResource(tx, owner, id)
		if err != nil {
			return err
		}
		if r, err = r.Apply(patch); err != nil {
			return err
		}
		r.Updated = now
		r.Version++
		return tx.Save(&r).Error
	})
}

// lockResource reads a service of this owner for change. A change of the service or its rights holds
// this lock, so that AcceptTransfer sees it whole or not at all.
func lockResource(tx *gorm.DB, owner models.Party, id string) (models.Resource, error) {
	r, err := resource(tx.Clauses(clause.Locking{Strength: "UPDATE"}), id)
	if err == nil && r.Owner != owner {
		return r, models.ErrNoAccess
	}
	return r, err
}

// PutRight gives an organisation exactly these rights in a service of the owner.
func (s *Store) PutRight(ctx context.Context, owner models.Party, right models.Right) error {
	return s.changeRights(ctx, owner, right.ResourceID, func(tx *gorm.DB) error {
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&right).Error
	})
}

// DeleteRight takes all rights of an organisation in a service of the owner. Safe to repeat.
func (s *Store) DeleteRight(ctx context.Context, owner models.Party, id string, organisation models.Party) error {
	return s.changeRights(ctx, owner, id, func(tx *gorm.DB) error {
		return tx.Delete(&models.Right{}, "resource_id = ? AND organisation = ?", id, organisation).Error
	})
}

// changeRights also moves the service row: its lock keeps a late acceptance out, its version tells of the change.
func (s *Store) changeRights(ctx context.Context, owner models.Party, id string, change func(*gorm.DB) error) error {
	return s.transact(ctx, "change rights", func(tx *gorm.DB) error {
		r, err := lockResource(tx, owner, id)
		if err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		return tx.Model(&r).Updates(map[string]any{"version": r.Version + 1, "updated": s.clock()}).Error
	})
}

// Rights lists the rights in a service of the owner, by organisation.
func (s *Store) Rights(ctx context.Context, owner models.Party, id string) ([]models.Right, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	r, err := s.ResourceByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.Owner != owner {
		return nil, models.ErrNoAccess
	}
	var rights []models.Right
	err = s.read.WithContext(ctx).Order("organisation").Find(&rights, "resource_id = ?", id).Error
	return rights, unavailable("list rights", err)
}

// RightOf returns what an organisation may do in a service; nothing when there is no such right or service.
func (s *Store) RightOf(ctx context.Context, id string, organisation models.Party) (models.Right, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var found []models.Right
	err := s.read.WithContext(ctx).Limit(1).Find(&found, "resource_id = ? AND organisation = ?", id, organisation).Error
	if err != nil || len(found) == 0 {
		return models.Right{ResourceID: id, Organisation: organisation}, unavailable("read right", err)
	}
	return found[0], nil
}
