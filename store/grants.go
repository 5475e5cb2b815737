package store

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// GrantOf returns the grant of an organisation in a service of the owner, or models.ErrEntryNotFound.
func (s *Store) GrantOf(ctx context.Context, owner models.Party, resource string, organisation models.Party) (models.Grant, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var g models.Grant
	if err := s.ownResource(ctx, owner, resource); err != nil {
		return g, err
	}
	err := s.read.WithContext(ctx).Take(&g, "resource_id = ? AND organisation = ?", resource, organisation).Error
	return g, unavailable("read grant", absent(err, models.ErrEntryNotFound))
}

// Grants lists the grants in a service of the owner by organisation, those after one.
func (s *Store) Grants(ctx context.Context, owner models.Party, resource string, after models.Party, limit int) ([]models.Grant, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := s.ownResource(ctx, owner, resource); err != nil {
		return nil, err
	}
	var out []models.Grant
	err := s.read.WithContext(ctx).Order("organisation").Limit(limit).Find(&out, "resource_id = ? AND organisation > ?", resource, after).Error
	return out, unavailable("list grants", err)
}

// PutGrant gives an organisation exactly these rights in a service of the caller. They hold from the moment
// that this returns. The grant is returned with its version.
func (s *Store) PutGrant(ctx context.Context, by models.Caller, g models.Grant, cond models.Condition) (put models.Grant, created bool, err error) {
	out, err := s.PutGrants(ctx, by, g.ResourceID, []models.GrantChange{{Grant: g, Condition: cond}}, true)
	if err != nil {
		return g, false, err
	}
	return out[0].Grant, out[0].Created, out[0].Err
}

// DeleteGrant takes an organisation's grant in a service of the caller.
func (s *Store) DeleteGrant(ctx context.Context, by models.Caller, resource string, organisation models.Party, cond models.Condition) error {
	g := models.Grant{ResourceID: resource, Organisation: organisation}
	out, err := s.PutGrants(ctx, by, resource, []models.GrantChange{{Grant: g, Delete: true, Condition: cond}}, true)
	if err != nil {
		return err
	}
	return out[0].Err
}

// PutGrants makes many changes in one transaction and tells of each how it went, in the same order. With
// allOrNothing one refused row refuses all: the others then say models.ErrNotApplied. No organisation may
// come twice.
func (s *Store) PutGrants(ctx context.Context, by models.Caller, resource string, changes []models.GrantChange, allOrNothing bool) ([]models.GrantResult, error) {
	var out []models.GrantResult
	err := s.change(ctx, "change grants", by, func(tx *gorm.DB) error {
		if _, err := s.holdResource(tx, by.Party, resource); err != nil {
			return err
		}
		before, err := grantsOf(tx, resource, changes)
		if err != nil {
			return err
		}
		var apply []int
		var added int64
		out, apply, added = judge(changes, before)
		if allOrNothing && len(apply) < len(changes) {
			notApplied(out, apply)
			return nil
		}
		if added > 0 {
			if err := underQuota(tx.Model(&models.Grant{}).Where("resource_id = ?", resource), "grants", s.quotas.Grants, added); err != nil {
				return err
			}
		}
		return s.applyGrants(tx, by, changes, apply, before, out)
	})
	return out, err
}

func grantsOf(tx *gorm.DB, resource string, changes []models.GrantChange) (map[models.Party]models.Grant, error) {
	of := make([]models.Party, len(changes))
	for i, c := range changes {
		of[i] = c.Grant.Organisation
	}
	var found []models.Grant
	err := tx.Find(&found, "resource_id = ? AND organisation IN ?", resource, of).Error
	before := make(map[models.Party]models.Grant, len(found))
	for _, g := range found {
		before[g.Organisation] = g
	}
	return before, err
}

// judge tells which changes may be made, by their index, and how many grants they add.
func judge(changes []models.GrantChange, before map[models.Party]models.Grant) (out []models.GrantResult, apply []int, added int64) {
	out = make([]models.GrantResult, len(changes))
	for i, c := range changes {
		old, exists := before[c.Grant.Organisation]
		err := c.Unread
		if err == nil {
			err = c.Condition.Check(old.Version)
		}
		if err == nil && c.Delete && !exists {
			err = models.ErrEntryNotFound
		}
		if err == nil && !c.Delete {
			err = c.Grant.Check()
		}
		out[i] = models.GrantResult{Grant: c.Grant, Err: err, Created: !exists && !c.Delete}
		if err == nil {
			apply = append(apply, i)
			if out[i].Created {
				added++
			}
		}
	}
	return out, apply, added
}

func notApplied(out []models.GrantResult, apply []int) {
	for _, i := range apply {
		out[i].Err = models.ErrNotApplied
	}
}

func (s *Store) applyGrants(tx *gorm.DB, by models.Caller, changes []models.GrantChange, apply []int, before map[models.Party]models.Grant, out []models.GrantResult) error {
	if len(apply) == 0 {
		return nil
	}
	entries := make([]models.Change, len(apply))
	for n, i := range apply {
		g := changes[i].Grant
		e := models.Change{Chain: by.Party, ResourceID: g.ResourceID, Action: "grant.put", Subject: "organization/" + string(g.Organisation), After: g}
		if old, exists := before[g.Organisation]; exists {
			e.Before = old
		}
		if changes[i].Delete {
			e.Action, e.After = "grant.delete", nil
		}
		entries[n] = e
	}
	first, err := s.record(tx, by, entries...)
	if err != nil {
		return err
	}
	now := s.clock()
	var put []models.Grant
	for n, i := range apply {
		g := &out[i].Grant
		g.Version, g.Updated = first+int64(n), now
		if changes[i].Delete {
			err = errors.Join(err, tx.Delete(&models.Grant{}, "resource_id = ? AND organisation = ?", g.ResourceID, g.Organisation).Error)
			continue
		}
		put = append(put, *g)
	}
	if err != nil || len(put) == 0 {
		return err
	}
	return tx.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(put, insertBatch).Error
}
