package registry

import (
	"context"

	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// DelegationOf returns a delegation of the principal; resource is empty for one in all services.
// models.ErrEntryNotFound when there is none.
func (s *Registry) DelegationOf(ctx context.Context, principal, supplier models.Party, resource string) (models.Delegation, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var d models.Delegation
	err := s.db.Read(ctx).Take(&d, "principal = ? AND supplier = ? AND resource_id = ?", principal, supplier, resource).Error
	return d, db.Unavailable("read delegation", db.Absent(err, models.ErrEntryNotFound))
}

// Delegations lists what a principal has delegated.
func (s *Registry) Delegations(ctx context.Context, principal models.Party) ([]models.Delegation, error) {
	return s.delegations(ctx, "principal = ?", principal)
}

// DelegationsTo lists what was delegated to a supplier.
func (s *Registry) DelegationsTo(ctx context.Context, supplier models.Party) ([]models.Delegation, error) {
	return s.delegations(ctx, "supplier = ?", supplier)
}

func (s *Registry) delegations(ctx context.Context, where string, of models.Party) ([]models.Delegation, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.Delegation
	err := s.db.Read(ctx).Order("principal, supplier, resource_id").Find(&out, where, of).Error
	return out, db.Unavailable("list delegations", err)
}

// PutDelegation lets a supplier act for the caller.
func (s *Registry) PutDelegation(ctx context.Context, by models.Caller, d models.Delegation, cond models.Condition) (stored models.Delegation, created bool, err error) {
	d.Principal = by.Party
	a := changeDelegation(d, cond)
	a.What, a.Change.Action = "put delegation", "delegation.put"
	a.Judge = func(_ *db.Tx, before *models.Delegation) ([]models.Change, error) {
		created = before == nil
		return put(d), d.Check()
	}
	a.Quota = func(tx *db.Tx) error {
		return UnderQuota(tx.Model(&models.Delegation{}).Where("principal = ?", by.Party), "delegations", s.quotas.Delegations, 1)
	}
	a.Write = func(tx *db.Tx, version int64) error {
		d.Version, d.Updated = version, tx.Now()
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&d).Error // Save takes an empty resource for no key
	}
	err = Amend(ctx, s, by, a)
	return d, created, err
}

// DeleteDelegation takes a delegation back. It waits for acceptances that use it; later ones do not see it.
func (s *Registry) DeleteDelegation(ctx context.Context, by models.Caller, d models.Delegation, cond models.Condition) error {
	d.Principal = by.Party
	a := changeDelegation(d, cond)
	a.What, a.Change.Action, a.Missing = "delete delegation", "delegation.delete", models.ErrEntryNotFound
	a.Judge = func(*db.Tx, *models.Delegation) ([]models.Change, error) { return gone(), nil }
	a.Write = func(tx *db.Tx, _ int64) error {
		return tx.Delete(&models.Delegation{}, "principal = ? AND supplier = ? AND resource_id = ?", d.Principal, d.Supplier, d.ResourceID).Error
	}
	return Amend(ctx, s, by, a)
}

func changeDelegation(d models.Delegation, cond models.Condition) Amendment[models.Delegation] {
	return Amendment[models.Delegation]{
		Own: true, Condition: cond, Change: models.Change{Chain: d.Principal, Subject: "delegation/" + string(d.Supplier)},
		Read: func(tx *db.Tx) (*models.Delegation, error) {
			return first[models.Delegation](tx.DB, "principal = ? AND supplier = ? AND resource_id = ?", d.Principal, d.Supplier, d.ResourceID)
		},
	}
}
