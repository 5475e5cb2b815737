package registry

import (
	"context"

	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// GrantOf returns the grant of an organisation in a service of the owner, or models.ErrEntryNotFound.
func (s *Registry) GrantOf(ctx context.Context, owner models.Party, resource string, organisation models.Party) (models.Grant, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var g models.Grant
	if err := s.ownResource(ctx, owner, resource); err != nil {
		return g, err
	}
	err := s.db.Read(ctx).Take(&g, "resource_id = ? AND organisation = ?", resource, organisation).Error
	return g, db.Unavailable("read grant", db.Absent(err, models.ErrEntryNotFound))
}

// Grants lists the grants in a service of the owner by organisation, those after one.
func (s *Registry) Grants(ctx context.Context, owner models.Party, resource string, after models.Party, limit int) ([]models.Grant, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	if err := s.ownResource(ctx, owner, resource); err != nil {
		return nil, err
	}
	var out []models.Grant
	err := s.db.Read(ctx).Order("organisation").Limit(limit).Find(&out, "resource_id = ? AND organisation > ?", resource, after).Error
	return out, db.Unavailable("list grants", err)
}

// PutGrant gives an organisation exactly these rights in a service of the caller. They hold from the moment
// that this returns. The grant is returned with its version.
func (s *Registry) PutGrant(ctx context.Context, by models.Caller, g models.Grant, cond models.Condition) (put models.Grant, created bool, err error) {
	out, err := s.PutGrants(ctx, by, g.ResourceID, []models.GrantChange{{Grant: g, Condition: cond}}, true)
	if err != nil {
		return g, false, err
	}
	return out[0].Grant, out[0].Created, out[0].Err
}

// DeleteGrant takes an organisation's grant in a service of the caller.
func (s *Registry) DeleteGrant(ctx context.Context, by models.Caller, resource string, organisation models.Party, cond models.Condition) error {
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
func (s *Registry) PutGrants(ctx context.Context, by models.Caller, resource string, changes []models.GrantChange, allOrNothing bool) ([]models.GrantResult, error) {
	batch := grantBatch{resource: resource, changes: changes, allOrNothing: allOrNothing, quota: s.quotas.Grants}
	err := Amend(ctx, s, by, batch.amendment(by))
	return batch.results, err
}

// grantBatch is several changes of grants in one service; each has a condition and a version of its own.
type grantBatch struct {
	resource     string
	changes      []models.GrantChange
	allOrNothing bool
	quota        int64

	before  map[models.Party]models.Grant
	results []models.GrantResult
	apply   []int // of changes: which are made
}

func (b *grantBatch) amendment(by models.Caller) Amendment[models.Grant] {
	return Amendment[models.Grant]{
		What: "change grants", Change: models.Change{Chain: by.Party, ResourceID: b.resource},
		Read: func(tx *db.Tx) (*models.Grant, error) {
			_, err := lockResource(tx, by.Party, b.resource)
			if err == nil {
				b.before, err = grantsOf(tx, b.resource, b.changes)
			}
			return nil, err
		},
		Judge: func(tx *db.Tx, _ *models.Grant) ([]models.Change, error) { return b.judge(tx) },
		Write: b.write,
	}
}

func grantsOf(tx *db.Tx, resource string, changes []models.GrantChange) (map[models.Party]models.Grant, error) {
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

// judge tells which changes are made, in the words of the audit.
func (b *grantBatch) judge(tx *db.Tx) ([]models.Change, error) {
	var added int64
	b.results, b.apply = make([]models.GrantResult, len(b.changes)), nil
	for i, c := range b.changes {
		old, exists := b.before[c.Grant.Organisation]
		b.results[i] = models.GrantResult{Grant: c.Grant, Err: c.Verdict(old, exists), Created: !exists && !c.Delete}
		if b.results[i].Err == nil {
			b.apply = append(b.apply, i)
			if b.results[i].Created {
				added++
			}
		}
	}
	if b.allOrNothing && len(b.apply) < len(b.changes) {
		for _, i := range b.apply {
			b.results[i].Err = models.ErrNotApplied
		}
		return nil, nil
	}
	if added > 0 {
		if err := UnderQuota(tx.Model(&models.Grant{}).Where("resource_id = ?", b.resource), "grants", b.quota, added); err != nil {
			return nil, err
		}
	}
	entries := make([]models.Change, len(b.apply))
	for n, i := range b.apply {
		g := b.changes[i].Grant
		entries[n] = models.Change{Action: "grant.put", Subject: "organization/" + string(g.Organisation), After: g}
		if old, exists := b.before[g.Organisation]; exists {
			entries[n].Before = old
		}
		if b.changes[i].Delete {
			entries[n].Action, entries[n].After = "grant.delete", nil
		}
	}
	return entries, nil
}

func (b *grantBatch) write(tx *db.Tx, last int64) error {
	var rows []models.Grant
	for n, i := range b.apply {
		g := &b.results[i].Grant
		g.Version, g.Updated = last-int64(len(b.apply)-1-n), tx.Now()
		if !b.changes[i].Delete {
			rows = append(rows, *g)
			continue
		}
		if err := tx.Delete(&models.Grant{}, "resource_id = ? AND organisation = ?", g.ResourceID, g.Organisation).Error; err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return tx.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(rows, db.InsertBatch).Error
}
