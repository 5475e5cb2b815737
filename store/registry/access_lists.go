package registry

import (
	"context"
	"encoding/json"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// AccessListOf returns a list, or models.ErrEntryNotFound.
func (s *Registry) AccessListOf(ctx context.Context, owner models.Party, id string) (models.AccessList, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var l models.AccessList
	err := s.db.Read(ctx).Take(&l, "owner = ? AND id = ?", owner, id).Error
	return l, db.Unavailable("read access list", db.Absent(err, models.ErrEntryNotFound))
}

// AccessLists lists an owner's lists by id, those after one.
func (s *Registry) AccessLists(ctx context.Context, owner models.Party, after string, limit int) ([]models.AccessList, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.AccessList
	err := s.db.Read(ctx).Order("id").Limit(limit).Find(&out, "owner = ? AND id > ?", owner, after).Error
	return out, db.Unavailable("list access lists", err)
}

// PutAccessList makes a list of the caller, or changes its name and description.
func (s *Registry) PutAccessList(ctx context.Context, by models.Caller, l models.AccessList, cond models.Condition) (put models.AccessList, created bool, err error) {
	l.Owner = by.Party
	err = Amend(ctx, s, by, Amendment[models.AccessList]{
		What: "put access list", Condition: cond,
		Change: models.Change{Chain: by.Party, Action: "access-list.put", Subject: "access-list/" + l.ID},
		Read: func(tx *db.Tx) (*models.AccessList, error) {
			if err := lockOwner(tx, by.Party); err != nil {
				return nil, err
			}
			return lockList(tx, by.Party, l.ID)
		},
		Judge: func(tx *db.Tx, before *models.AccessList) ([]models.Change, error) {
			l.Created, created = tx.Now(), before == nil
			if before != nil {
				l.Created = before.Created
			}
			return []models.Change{{After: l}}, l.Check()
		},
		Quota: func(tx *db.Tx) error {
			return UnderQuota(tx.Model(&models.AccessList{}).Where("owner = ?", by.Party), "access lists", s.quotas.Lists, 1)
		},
		Write: func(tx *db.Tx, version int64) error {
			l.Version, l.Updated = version, tx.Now()
			return tx.Save(&l).Error
		},
	})
	return l, created, err
}

// lockOwner locks the row of a service owner: models.ErrOwnerNotConfigured for who is none.
func lockOwner(tx *db.Tx, owner models.Party) error {
	var found []models.ServiceOwner
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Limit(1).Find(&found, "organisation = ?", owner).Error
	if err == nil && len(found) == 0 {
		err = models.ErrOwnerNotConfigured
	}
	return err
}

func lockList(tx *db.Tx, owner models.Party, id string) (*models.AccessList, error) {
	return first[models.AccessList](tx.Clauses(clause.Locking{Strength: "UPDATE"}), "owner = ? AND id = ?", owner, id)
}

// lockConnected locks the services that a list is connected to, so that no acceptance sees half a change.
func lockConnected(tx *db.Tx, owner models.Party, list string) error {
	var ids []string
	err := tx.Model(&models.AccessListConnection{}).Where("owner = ? AND list_id = ?", owner, list).Order("resource_id").Pluck("resource_id", &ids).Error
	if err != nil {
		return err
	}
	for i, id := range ids {
		ids[i] = db.ResourceLock(id)
	}
	return tx.LockAlone(ids...)
}

// changeList is the amendment of what a list of the caller holds; the list's version moves on.
func changeList(by models.Caller, id string, cond models.Condition) Amendment[models.AccessList] {
	return Amendment[models.AccessList]{
		What: "change access list", Condition: cond, Missing: models.ErrEntryNotFound,
		Change: models.Change{Chain: by.Party, Subject: "access-list/" + id},
		Read:   func(tx *db.Tx) (*models.AccessList, error) { return lockList(tx, by.Party, id) },
	}
}

// DeleteAccessList deletes a list of the caller with its members and its connections.
func (s *Registry) DeleteAccessList(ctx context.Context, by models.Caller, id string, cond models.Condition) error {
	a := changeList(by, id, cond)
	a.Judge = func(tx *db.Tx, l *models.AccessList) ([]models.Change, error) {
		gone := models.DeletedAccessList{AccessList: *l}
		var connected []models.AccessListConnection
		err := lockConnected(tx, by.Party, id)
		if err == nil {
			err = tx.Order("organisation").Find(&gone.Members, "owner = ? AND list_id = ?", by.Party, id).Error
		}
		if err == nil {
			err = tx.Order("resource_id").Find(&connected, "owner = ? AND list_id = ?", by.Party, id).Error
		}
		var changes []models.Change
		for _, n := range connected {
			changes = append(changes, models.Change{Action: "access-list.disconnect", ResourceID: n.ResourceID, Before: n})
		}
		return append(changes, models.Change{Action: "access-list.delete", Before: gone}), err
	}
	a.Write = func(tx *db.Tx, _ int64) error {
		for _, rows := range []any{&models.AccessListConnection{}, &models.AccessListMember{}} {
			if err := tx.Delete(rows, "owner = ? AND list_id = ?", by.Party, id).Error; err != nil {
				return err
			}
		}
		return tx.Delete(&models.AccessList{}, "owner = ? AND id = ?", by.Party, id).Error
	}
	return Amend(ctx, s, by, a)
}

// AccessListMembers lists the members of a list by organisation, those after one.
func (s *Registry) AccessListMembers(ctx context.Context, owner models.Party, id string, after models.Party, limit int) ([]models.AccessListMember, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	if _, err := s.AccessListOf(ctx, owner, id); err != nil {
		return nil, err
	}
	var out []models.AccessListMember
	err := s.db.Read(ctx).Order("organisation").Limit(limit).
		Find(&out, "owner = ? AND list_id = ? AND organisation > ?", owner, id, after).Error
	return out, db.Unavailable("list members", err)
}

// ChangeMembers adds and removes members of a list of the caller, and returns the list's new version.
func (s *Registry) ChangeMembers(ctx context.Context, by models.Caller, id string, m models.MemberChange, cond models.Condition) (version int64, err error) {
	for _, p := range m.Put {
		if err := p.Check(); err != nil {
			return 0, err
		}
	}
	var after models.MemberChange
	a := changeList(by, id, cond)
	a.Judge = func(tx *db.Tx, _ *models.AccessList) ([]models.Change, error) {
		if err := lockConnected(tx, by.Party, id); err != nil {
			return nil, err
		}
		have, total, err := membersConcerned(tx, by.Party, id, m)
		if err != nil {
			return nil, err
		}
		var before models.MemberChange
		before, after = m.Difference(have)
		if total += int64(len(after.Put) - len(before.Put)); total > s.quotas.Members {
			return nil, models.ErrQuota("members", s.quotas.Members, total)
		}
		return []models.Change{{Action: "access-list.members", Before: before, After: after}}, nil
	}
	a.Write = func(tx *db.Tx, v int64) error {
		version = v
		if err := writeMembers(tx, by.Party, id, after); err != nil {
			return err
		}
		return tx.Model(&models.AccessList{}).Where("owner = ? AND id = ?", by.Party, id).
			Updates(map[string]any{"version": v, "updated": tx.Now()}).Error
	}
	err = Amend(ctx, s, by, a)
	return version, err
}

// membersConcerned reads those members that a change may concern, and counts all: a list may be long.
func membersConcerned(tx *db.Tx, owner models.Party, id string, m models.MemberChange) (have []models.AccessListMember, total int64, err error) {
	of := tx.Where("owner = ? AND list_id = ?", owner, id)
	if err := of.Session(&gorm.Session{}).Model(&models.AccessListMember{}).Count(&total).Error; err != nil {
		return nil, 0, err
	}
	named := of.Session(&gorm.Session{}).Order("organisation")
	if !m.Replace {
		among, err := among(tx, m.Named())
		if err != nil {
			return nil, 0, err
		}
		named = named.Where(among)
	}
	return have, total, named.Find(&have).Error
}

// among tells in SQL that a row's organisation is one of these, however many they are.
func among(tx *db.Tx, parties []models.Party) (clause.Expr, error) {
	list, err := json.Marshal(parties)
	return gorm.Expr("organisation IN (SELECT organisation FROM ("+strings.ReplaceAll(asked[tx.Dialect()], "@parties", "?")+") named)", string(list)), err
}

func writeMembers(tx *db.Tx, owner models.Party, id string, m models.MemberChange) error {
	if len(m.Remove) > 0 {
		among, err := among(tx, m.Remove)
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
	now := tx.Now()
	rows := make([]models.AccessListMember, len(m.Put))
	for i, p := range m.Put {
		p.Owner, p.ListID = owner, id
		if p.Since.IsZero() {
			p.Since = now
		}
		rows[i] = p
	}
	return tx.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(rows, db.InsertBatch).Error
}
