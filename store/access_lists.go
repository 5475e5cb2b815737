package store

import (
	"context"
	"encoding/json"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// AccessListOf returns a list, or models.ErrEntryNotFound.
func (s *Store) AccessListOf(ctx context.Context, owner models.Party, id string) (models.AccessList, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var l models.AccessList
	err := s.read.WithContext(ctx).Take(&l, "owner = ? AND id = ?", owner, id).Error
	return l, unavailable("read access list", absent(err, models.ErrEntryNotFound))
}

// AccessLists lists an owner's lists by id, those after one.
func (s *Store) AccessLists(ctx context.Context, owner models.Party, after string, limit int) ([]models.AccessList, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []models.AccessList
	err := s.read.WithContext(ctx).Order("id").Limit(limit).Find(&out, "owner = ? AND id > ?", owner, after).Error
	return out, unavailable("list access lists", err)
}

// PutAccessList makes a list of the caller, or changes its name and description.
func (s *Store) PutAccessList(ctx context.Context, by models.Caller, l models.AccessList, cond models.Condition) (put models.AccessList, created bool, err error) {
	l.Owner = by.Party
	err = s.change(ctx, "put access list", by, func(tx *gorm.DB) error {
		if err := lockOwner(tx, by.Party); err != nil {
			return err
		}
		before, exists, err := lockList(tx, by.Party, l.ID)
		if err != nil {
			return err
		}
		if err := cond.Check(before.Version); err != nil {
			return err
		}
		if err := l.Check(); err != nil {
			return err
		}
		c := models.Change{Chain: by.Party, Action: "access-list.put", Subject: "access-list/" + l.ID, After: l}
		l.Created, created = s.clock(), !exists
		if exists {
			c.Before, l.Created = before, before.Created
		} else if err := underQuota(tx.Model(&models.AccessList{}).Where("owner = ?", by.Party), "access lists", s.quotas.Lists, 1); err != nil {
			return err
		}
		if l.Version, err = s.record(tx, by, c); err != nil {
			return err
		}
		l.Updated = s.clock()
		return tx.Save(&l).Error
	})
	return l, created, err
}

// lockOwner holds the row of a service owner: models.ErrOwnerNotConfigured for who is none.
func lockOwner(tx *gorm.DB, owner models.Party) error {
	var found []models.ServiceOwner
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Limit(1).Find(&found, "organisation = ?", owner).Error
	if err == nil && len(found) == 0 {
		err = models.ErrOwnerNotConfigured
	}
	return err
}

func lockList(tx *gorm.DB, owner models.Party, id string) (l models.AccessList, exists bool, err error) {
	var found []models.AccessList
	err = tx.Clauses(clause.Locking{Strength: "UPDATE"}).Limit(1).Find(&found, "owner = ? AND id = ?", owner, id).Error
	if len(found) > 0 {
		return found[0], true, err
	}
	return l, false, err
}

// holdConnected holds the services that a list is connected to, so that no acceptance sees half a change.
func (s *Store) holdConnected(tx *gorm.DB, owner models.Party, list string) error {
	var ids []string
	err := tx.Model(&models.AccessListConnection{}).Where("owner = ? AND list_id = ?", owner, list).Order("resource_id").Pluck("resource_id", &ids).Error
	if err != nil {
		return err
	}
	for i, id := range ids {
		ids[i] = resourceHold(id)
	}
	return s.alone(tx, ids...)
}

// changeList runs fn on a list of the caller whose version fits, and writes its new version. fn says what it changed.
func (s *Store) changeList(ctx context.Context, by models.Caller, id string, cond models.Condition,
	fn func(tx *gorm.DB, l models.AccessList) ([]models.Change, error),
) (version int64, err error) {
	err = s.change(ctx, "change access list", by, func(tx *gorm.DB) error {
		l, exists, err := lockList(tx, by.Party, id)
		if err == nil && !exists {
			err = models.ErrEntryNotFound
		}
		if err == nil {
			err = cond.Check(l.Version)
		}
		if err == nil {
			err = s.holdConnected(tx, by.Party, id)
		}
		if err != nil {
			return err
		}
		changes, err := fn(tx, l)
		if err != nil {
			return err
		}
		for i := range changes {
			changes[i].Chain, changes[i].Subject = by.Party, "access-list/"+id
		}
		first, err := s.record(tx, by, changes...)
		if err != nil {
			return err
		}
		version = first + int64(len(changes)) - 1
		return tx.Model(&models.AccessList{}).Where("owner = ? AND id = ?", by.Party, id).
			Updates(map[string]any{"version": version, "updated": s.clock()}).Error
	})
	return version, err
}

// DeleteAccessList deletes a list of the caller with its members and its connections.
func (s *Store) DeleteAccessList(ctx context.Context, by models.Caller, id string, cond models.Condition) error {
	_, err := s.changeList(ctx, by, id, cond, func(tx *gorm.DB, l models.AccessList) ([]models.Change, error) {
		gone := models.DeletedAccessList{AccessList: l}
		var connected []models.AccessListConnection
		err := tx.Order("organisation").Find(&gone.Members, "owner = ? AND list_id = ?", by.Party, id).Error
		if err == nil {
			err = tx.Order("resource_id").Find(&connected, "owner = ? AND list_id = ?", by.Party, id).Error
		}
		for _, rows := range []any{&models.AccessListConnection{}, &models.AccessListMember{}} {
			if err == nil {
				err = tx.Delete(rows, "owner = ? AND list_id = ?", by.Party, id).Error
			}
		}
		if err == nil {
			err = tx.Delete(&models.AccessList{}, "owner = ? AND id = ?", by.Party, id).Error
		}
		var changes []models.Change
		for _, n := range connected {
			changes = append(changes, models.Change{Action: "access-list.disconnect", ResourceID: n.ResourceID, Before: n})
		}
		return append(changes, models.Change{Action: "access-list.delete", Before: gone}), err
	})
	return err
}

// AccessListMembers lists the members of a list by organisation, those after one.
func (s *Store) AccessListMembers(ctx context.Context, owner models.Party, id string, after models.Party, limit int) ([]models.AccessListMember, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if _, err := s.AccessListOf(ctx, owner, id); err != nil {
		return nil, err
	}
	var out []models.AccessListMember
	err := s.read.WithContext(ctx).Order("organisation").Limit(limit).
		Find(&out, "owner = ? AND list_id = ? AND organisation > ?", owner, id, after).Error
	return out, unavailable("list members", err)
}

// ChangeMembers adds and removes members of a list of the caller, and returns the list's new version.
func (s *Store) ChangeMembers(ctx context.Context, by models.Caller, id string, m models.MemberChange, cond models.Condition) (version int64, err error) {
	for _, p := range m.Put {
		if err := p.Check(); err != nil {
			return 0, err
		}
	}
	return s.changeList(ctx, by, id, cond, func(tx *gorm.DB, _ models.AccessList) ([]models.Change, error) {
		have, total, err := s.membersConcerned(tx, by.Party, id, m)
		if err != nil {
			return nil, err
		}
		before, after := m.Difference(have)
		if total += int64(len(after.Put) - len(before.Put)); total > s.quotas.Members {
			return nil, models.ErrQuota("members", s.quotas.Members, total)
		}
		c := models.Change{Action: "access-list.members", Before: before, After: after}
		return []models.Change{c}, s.writeMembers(tx, by.Party, id, after)
	})
}

// membersConcerned reads those members that a change may concern, and counts all: a list may be long.
func (s *Store) membersConcerned(tx *gorm.DB, owner models.Party, id string, m models.MemberChange) (have []models.AccessListMember, total int64, err error) {
	of := tx.Where("owner = ? AND list_id = ?", owner, id)
	if err := of.Session(&gorm.Session{}).Model(&models.AccessListMember{}).Count(&total).Error; err != nil {
		return nil, 0, err
	}
	named := of.Session(&gorm.Session{}).Order("organisation")
	if !m.Replace {
		among, err := s.among(m.Named())
		if err != nil {
			return nil, 0, err
		}
		named = named.Where(among)
	}
	return have, total, named.Find(&have).Error
}

// among tells in SQL that a row's organisation is one of these, however many they are.
func (s *Store) among(parties []models.Party) (clause.Expr, error) {
	list, err := json.Marshal(parties)
	return gorm.Expr("organisation IN (SELECT organisation FROM ("+strings.ReplaceAll(asked[s.dialect], "@parties", "?")+") named)", string(list)), err
}

func (s *Store) writeMembers(tx *gorm.DB, owner models.Party, id string, m models.MemberChange) error {
	if len(m.Remove) > 0 {
		among, err := s.among(m.Remove)
		if err != nil {
			return err
		}
		if err := tx.Where(among).Delete(&models.AccessListMember{}, "owner = ? AND list_id = ?", owner, id).Error; err != nil {
			return err
		}
	}
	if len(m.Put) == 0 {
		return nil
	}
	now := s.clock()
	rows := make([]models.AccessListMember, len(m.Put))
	for i, p := range m.Put {
		p.Owner, p.ListID = owner, id
		if p.Since.IsZero() {
			p.Since = now
		}
		rows[i] = p
	}
	return tx.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(rows, insertBatch).Error
}
