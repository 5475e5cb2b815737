package registry

import (
	"context"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// Amendment is one change of one entry of the registry. T is its row.
type Amendment[T models.Entry] struct {
	What string // is being done, for errors
	// Own tells that the organisation says it of itself: nobody decides by it, or changes it, meanwhile.
	Own       bool
	Condition models.Condition
	// Change says whose chain, which service and what the audit tells of. What the entry was before is added to it.
	Change models.Change
	// Read locks the entry and reads it; nil: there is none.
	Read func(tx *db.Tx) (before *T, err error)
	// Missing refuses to change what is not there; nil: it is made.
	Missing error
	// Judge tells what changes, in one audit entry or several. After is nil where the entry goes. Without changes nothing
	// happens.
	Judge func(tx *db.Tx, before *T) ([]models.Change, error)
	// Quota bounds how many there are, when one is made; nil: nothing does.
	Quota func(tx *db.Tx) error
	// Write writes or deletes the row. version is that of the last change.
	Write func(tx *db.Tx, version int64) error
}

// Amend makes the change of one entry in one transaction. The credential must still be one that its organisation lets
// act: whoever holds a request's body back must not outlive a lock that was set meanwhile.
// models.ErrPreconditionRequired and ErrPreconditionFailed when the entry is not the one of the condition.
func Amend[T models.Entry](ctx context.Context, s *Registry, by models.Caller, a Amendment[T]) error {
	return s.change(ctx, a.What, by, a.Own, func(tx *db.Tx) error { return a.in(tx, by) })
}

func (a Amendment[T]) in(tx *db.Tx, by models.Caller) error {
	before, err := a.Read(tx)
	if err != nil {
		return err
	}
	var stored int64
	if before != nil {
		stored = (*before).EntryVersion()
	}
	if err := a.Condition.Check(stored); err != nil {
		return err
	}
	if before == nil && a.Missing != nil {
		return a.Missing
	}
	changes, err := a.Judge(tx, before)
	if err != nil || len(changes) == 0 {
		return err
	}
	if before == nil && a.Quota != nil {
		if err := a.Quota(tx); err != nil {
			return err
		}
	}
	first, err := record(tx, by, a.filledIn(changes, before)...)
	if err != nil {
		return err
	}
	return a.Write(tx, first+int64(len(changes))-1)
}

// filledIn adds to changes what is the same in all, where they do not say otherwise.
func (a Amendment[T]) filledIn(changes []models.Change, before *T) []models.Change {
	for i := range changes {
		c := &changes[i]
		if c.Chain == "" {
			c.Chain = a.Change.Chain
		}
		if c.ResourceID == "" {
			c.ResourceID = a.Change.ResourceID
		}
		if c.Action == "" {
			c.Action = a.Change.Action
		}
		if c.Subject == "" {
			c.Subject = a.Change.Subject
		}
		if c.Before == nil && before != nil {
			c.Before = *before
		}
	}
	return changes
}

// put says that an entry becomes this.
func put(after models.Audited) []models.Change { return []models.Change{{After: after}} }

// gone says that an entry goes.
func gone() []models.Change { return []models.Change{{}} }

// change runs fn in a transaction of the registry, while the caller's credential is one that may act.
func (s *Registry) change(ctx context.Context, what string, by models.Caller, own bool, fn func(tx *db.Tx) error) error {
	return s.db.TransactRegistry(ctx, what, func(tx *db.Tx) error {
		lock := tx.LockShared
		if own {
			lock = tx.LockAlone
		}
		if err := lock(db.OrganisationLock(by.Holder())); err != nil {
			return err
		}
		if err := checkCredentialLock(tx.DB, by); err != nil {
			return err
		}
		return fn(tx)
	})
}

// UnderQuota refuses to add more rows to a query than a quota allows.
func UnderQuota(rows *gorm.DB, what string, limit, more int64) error {
	var have int64
	if err := rows.Count(&have).Error; err != nil {
		return err
	}
	if have+more > limit {
		return models.ErrQuota(what, limit, have+more)
	}
	return nil
}

// first is the row that a query finds; nil when it finds none.
func first[T any](g *gorm.DB, where string, args ...any) (*T, error) {
	var found []T
	err := g.Limit(1).Find(&found, append([]any{where}, args...)...).Error
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}
