package registry

import (
	"context"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// AccessListConnections lists the services that a list is connected to, by service; a list connects to no more
// services than its owner has.
func (s *Registry) AccessListConnections(ctx context.Context, owner models.Party, list string) ([]models.AccessListConnection, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	if _, err := s.AccessListOf(ctx, owner, list); err != nil {
		return nil, err
	}
	var out []models.AccessListConnection
	err := s.db.Read(ctx).Order("resource_id").Find(&out, "owner = ? AND list_id = ?", owner, list).Error
	return out, db.Unavailable("list connections", err)
}

// AccessListConnectionOf returns the connection of a list to a service, or models.ErrEntryNotFound.
func (s *Registry) AccessListConnectionOf(ctx context.Context, owner models.Party, list, resource string) (models.AccessListConnection, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out models.AccessListConnection
	err := s.db.Read(ctx).Take(&out, "owner = ? AND list_id = ? AND resource_id = ?", owner, list, resource).Error
	return out, db.Unavailable("read connection", db.Absent(err, models.ErrEntryNotFound))
}

// PutAccessListConnection gives all members of a list of the caller these terms in a service of the caller.
func (s *Registry) PutAccessListConnection(ctx context.Context, by models.Caller, n models.AccessListConnection, cond models.Condition) (put models.AccessListConnection, created bool, err error) {
	n.Owner = by.Party
	a := changeConnection(by, n.ListID, n.ResourceID, cond)
	a.Change.Action = "access-list.connect"
	a.Judge = func(_ *db.Tx, before *models.AccessListConnection) ([]models.Change, error) {
		created = before == nil
		return []models.Change{{After: n}}, models.Invalid(n.Check())
	}
	a.Quota = func(tx *db.Tx) error {
		return UnderQuota(tx.Model(&models.AccessListConnection{}).Where("resource_id = ?", n.ResourceID), "connected access lists", s.quotas.Connections, 1)
	}
	a.Write = func(tx *db.Tx, version int64) error {
		n.Version, n.Updated = version, tx.Now()
		return tx.Save(&n).Error
	}
	err = Amend(ctx, s, by, a)
	return n, created, err
}

// DeleteAccessListConnection disconnects a list of the caller from a service of the caller.
func (s *Registry) DeleteAccessListConnection(ctx context.Context, by models.Caller, list, resource string, cond models.Condition) error {
	a := changeConnection(by, list, resource, cond)
	a.Change.Action, a.Missing = "access-list.disconnect", models.ErrEntryNotFound
	a.Judge = func(*db.Tx, *models.AccessListConnection) ([]models.Change, error) { return gone(), nil }
	a.Write = func(tx *db.Tx, _ int64) error {
		return tx.Delete(&models.AccessListConnection{}, "resource_id = ? AND list_id = ?", resource, list).Error
	}
	return Amend(ctx, s, by, a)
}

// changeConnection is the amendment of a connection; list and service are locked.
func changeConnection(by models.Caller, list, resource string, cond models.Condition) Amendment[models.AccessListConnection] {
	return Amendment[models.AccessListConnection]{
		What: "change connection", Condition: cond,
		Change: models.Change{Chain: by.Party, ResourceID: resource, Subject: "access-list/" + list},
		Read: func(tx *db.Tx) (*models.AccessListConnection, error) {
			l, err := lockList(tx, by.Party, list)
			if err == nil && l == nil {
				err = models.ErrEntryNotFound
			}
			if err == nil {
				_, err = lockResource(tx, by.Party, resource)
			}
			if err != nil {
				return nil, err
			}
			return first[models.AccessListConnection](tx.DB, "resource_id = ? AND list_id = ?", resource, list)
		},
	}
}
