package db

import (
	"errors"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// Named locks keep a part of the registry as it is while decisions are made by it: whoever decides locks it shared,
// whoever changes it locks it alone, each until its transaction ends. PostgreSQL's advisory locks queue fairly;
// row locks do not: a change starves while new deciders keep joining those that hold the row (docs/adr/0005).
// SQLite has one writer, which is lock enough.
const (
	lockAlone  = "pg_advisory_xact_lock"
	lockShared = "pg_advisory_xact_lock_shared"
)

// ResourceLock names the lock of a service and of all rights in it.
func ResourceLock(id string) string { return "resource/" + id }

// OrganisationLock names the lock of what an organisation says of itself: its credentials and delegations.
func OrganisationLock(p models.Party) string { return "organisation/" + string(p) }

// UploadsLock names the lock of how many uploads an organisation has running.
func UploadsLock(p models.Party) string { return "uploads/" + string(p) }

// SubscriptionsLock names the lock of how many subscriptions an organisation has.
func SubscriptionsLock(p models.Party) string { return "subscriptions/" + string(p) }

// LockShared takes named locks beside others that share them.
func (t *Tx) LockShared(names ...string) error { return t.lock(lockShared, names) }

// LockAlone takes named locks against everybody else.
func (t *Tx) LockAlone(names ...string) error { return t.lock(lockAlone, names) }

// lock takes the locks in the order given; who takes several takes them in one order everywhere.
func (t *Tx) lock(kind string, names []string) error {
	if t.of.dialect != Postgres || len(names) == 0 {
		return nil
	}
	args := make([]any, len(names))
	for i, name := range names {
		args[i] = name
	}
	each := strings.TrimSuffix(strings.Repeat(kind+"(hashtextextended(?, 0)),", len(names)), ",")
	return t.Exec("SELECT "+each, args...).Error
}

// LockTransfer reads a transfer for change; all changes to one transfer come one after the other.
// models.ErrTransferNotFound when there is none.
func (t *Tx) LockTransfer(id uuid.UUID) (models.Transfer, error) {
	return t.transfer(id, "UPDATE")
}

// ShareTransfer reads a transfer and keeps it from being changed until the transaction ends. models.ErrTransferNotFound
// when there is none.
func (t *Tx) ShareTransfer(id uuid.UUID) (models.Transfer, error) {
	return t.transfer(id, "SHARE")
}

func (t *Tx) transfer(id uuid.UUID, strength string) (models.Transfer, error) {
	var found models.Transfer
	err := t.Clauses(clause.Locking{Strength: strength}).Take(&found, "id = ?", id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return found, models.ErrTransferNotFound
	}
	t.NotBefore(found.StatusChanged)
	return found, err
}
