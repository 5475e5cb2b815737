package store

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// AccessListConnections lists the services that a list is connected to, by service; a list connects to no more
// services than its owner has.
func (s *Store) AccessListConnections(ctx context.Context, owner models.Party, list string) ([]models.AccessListConnection, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if _, err := s.AccessListOf(ctx, owner, list); err != nil {
		return nil, err
	}
	var out []models.AccessListConnection
	err := s.read.WithContext(ctx).Order("resource_id").Find(&out, "owner = ? AND list_id = ?", owner, list).Error
	return out, unavailable("list connections", err)
}

// AccessListConnectionOf returns the connection of a list to a service, or models.ErrEntryNotFound.
func (s *Store) AccessListConnectionOf(ctx context.Context, owner models.Party, list, resource string) (models.AccessListConnection, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out models.AccessListConnection
	err := s.read.WithContext(ctx).Take(&out, "owner = ? AND list_id = ? AND resource_id = ?", owner, list, resource).Error
	return out, unavailable("read connection", absent(err, models.ErrEntryNotFound))
}

// PutAccessListConnection gives all members of a list of the caller these terms in a service of the caller.
func (s *Store) PutAccessListConnection(ctx context.Context, by models.Caller, n models.AccessListConnection, cond models.Condition) (put models.AccessListConnection, created bool, err error) {
	n.Owner = by.Party
	err = s.changeConnection(ctx, by, n, cond, func(tx *gorm.DB, before *models.AccessListConnection) (models.Change, error) {
		if err := models.Invalid(n.Check()); err != nil {
			return models.Change{}, err
		}
		c := models.Change{Action: "access-list.connect", After: n}
		if created = before == nil; !created {
			c.Before = *before
			return c, nil
		}
		return c, underQuota(tx.Model(&models.AccessListConnection{}).Where("resource_id = ?", n.ResourceID), "connected access lists", s.quotas.Connections, 1)
	}, func(tx *gorm.DB, version int64) error {
		n.Version, n.Updated = version, s.clock()
		return tx.Save(&n).Error
	})
	return n, created, err
}

// DeleteAccessListConnection disconnects a list of the caller from a service of the caller.
func (s *Store) DeleteAccessListConnection(ctx context.Context, by models.Caller, list, resource string, cond models.Condition) error {
	n := models.AccessListConnection{ListID: list, ResourceID: resource}
	return s.changeConnection(ctx, by, n, cond, func(_ *gorm.DB, before *models.AccessListConnection) (models.Change, error) {
		if before == nil {
			return models.Change{}, models.ErrEntryNotFound
		}
		return models.Change{Action: "access-list.disconnect", Before: *before}, nil
	}, func(tx *gorm.DB, _ int64) error {
		return tx.Delete(&models.AccessListConnection{}, "resource_id = ? AND list_id = ?", resource, list).Error
	})
}

// changeConnection holds list and service, judges the change, records it and writes it.
func (s *Store) changeConnection(ctx context.Context, by models.Caller, n models.AccessListConnection, cond models.Condition,
	judge func(*gorm.DB, *models.AccessListConnection) (models.Change, error), write func(tx *gorm.DB, version int64) error,
) error {
	return s.change(ctx, "change connection", by, func(tx *gorm.DB) error {
		_, exists, err := lockList(tx, by.Party, n.ListID)
		if err == nil && !exists {
			err = models.ErrEntryNotFound
		}
		if err == nil {
			_, err = s.holdResource(tx, by.Party, n.ResourceID)
		}
		if err != nil {
			return err
		}
		var before *models.AccessListConnection
		var found models.AccessListConnection
		err = tx.Take(&found, "resource_id = ? AND list_id = ?", n.ResourceID, n.ListID).Error
		if err == nil {
			before = &found
		} else if !errors.Is(err, gorm.ErrRecordNotFound) {
			return err
		}
		if err := cond.Check(found.Version); err != nil {
			return err
		}
		c, err := judge(tx, before)
		if err != nil {
			return err
		}
		c.Chain, c.ResourceID, c.Subject = by.Party, n.ResourceID, "access-list/"+n.ListID
		version, err := s.record(tx, by, c)
		if err != nil {
			return err
		}
		return write(tx, version)
	})
}
