package store

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// DelegationOf returns a delegation of the principal; resource is empty for one in all services.
// models.ErrEntryNotFound when there is none.
func (s *Store) DelegationOf(ctx context.Context, principal, supplier models.Party, resource string) (models.Delegation, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var d models.Delegation
	err := s.read.WithContext(ctx).Take(&d, "principal = ? AND supplier = ? AND resource_id = ?", principal, supplier, resource).Error
	return d, unavailable("read delegation", absent(err, models.ErrEntryNotFound))
}

// Delegations lists what a principal has delegated.
func (s *Store) Delegations(ctx context.Context, principal models.Party) ([]models.Delegation, error) {
	return s.delegations(ctx, "principal = ?", principal)
}

// DelegationsTo lists what was delegated to a supplier.
func (s *Store) DelegationsTo(ctx context.Context, supplier models.Party) ([]models.Delegation, error) {
	return s.delegations(ctx, "supplier = ?", supplier)
}

func (s *Store) delegations(ctx context.Context, where string, of models.Party) ([]models.Delegation, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []models.Delegation
	err := s.read.WithContext(ctx).Order("principal, supplier, resource_id").Find(&out, where, of).Error
	return out, unavailable("list delegations", err)
}

// PutDelegation lets a supplier act for the caller.
func (s *Store) PutDelegation(ctx context.Context, by models.Caller, d models.Delegation, cond models.Condition) (put models.Delegation, created bool, err error) {
	d.Principal = by.Party
	err = s.changeOwn(ctx, "put delegation", by, func(tx *gorm.DB) error {
		before, exists, err := delegationNow(tx, d)
		if err == nil {
			err = cond.Check(before.Version)
		}
		if err == nil {
			err = d.Check()
		}
		if err != nil {
			return err
		}
		c := models.Change{Chain: by.Party, Action: "delegation.put", Subject: "delegation/" + string(d.Supplier), After: d}
		if created = !exists; exists {
			c.Before = before
		} else if err := underQuota(tx.Model(&models.Delegation{}).Where("principal = ?", by.Party), "delegations", s.quotas.Delegations, 1); err != nil {
			return err
		}
		if d.Version, err = s.record(tx, by, c); err != nil {
			return err
		}
		d.Updated = s.clock()
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&d).Error // Save takes an empty resource for no key
	})
	return d, created, err
}

// DeleteDelegation takes a delegation back. It waits for acceptances that use it; later ones do not see it.
func (s *Store) DeleteDelegation(ctx context.Context, by models.Caller, d models.Delegation, cond models.Condition) error {
	d.Principal = by.Party
	return s.changeOwn(ctx, "delete delegation", by, func(tx *gorm.DB) error {
		before, exists, err := delegationNow(tx, d)
		if err == nil {
			err = cond.Check(before.Version)
		}
		if err == nil && !exists {
			err = models.ErrEntryNotFound
		}
		if err != nil {
			return err
		}
		c := models.Change{Chain: by.Party, Action: "delegation.delete", Subject: "delegation/" + string(d.Supplier), Before: before}
		if _, err := s.record(tx, by, c); err != nil {
			return err
		}
		return tx.Delete(&models.Delegation{}, "principal = ? AND supplier = ? AND resource_id = ?", d.Principal, d.Supplier, d.ResourceID).Error
	})
}

// delegationNow reads a delegation for change.
func delegationNow(tx *gorm.DB, d models.Delegation) (before models.Delegation, exists bool, err error) {
	err = tx.Take(&before, "principal = ? AND supplier = ? AND resource_id = ?", d.Principal, d.Supplier, d.ResourceID).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return before, false, nil
	}
	return before, err == nil, err
}
