package store

import (
	"strings"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// A hold keeps a part of the registry as it is while decisions are made by it: whoever decides holds it shared,
// whoever changes it holds it alone, each until its transaction ends. PostgreSQL's advisory locks queue fairly;
// row locks do not: a change starves while new deciders keep joining those that hold the row (docs/adr/0005).
// SQLite has one writer, which is hold enough.
const (
	heldAlone  = "pg_advisory_xact_lock"
	heldShared = "pg_advisory_xact_lock_shared"
)

func resourceHold(id string) string                      { return "resource/" + id }
func organisationHold(p models.Party) string             { return "organisation/" + string(p) }
func (s *Store) share(tx *gorm.DB, what ...string) error { return s.hold(tx, heldShared, what) }
func (s *Store) alone(tx *gorm.DB, what ...string) error { return s.hold(tx, heldAlone, what) }

// hold takes the holds in the order given; who takes several gives them in one order everywhere.
func (s *Store) hold(tx *gorm.DB, lock string, what []string) error {
	if s.dialect != dialectPostgres || len(what) == 0 {
		return nil
	}
	args := make([]any, len(what))
	for i, w := range what {
		args[i] = w
	}
	each := strings.TrimSuffix(strings.Repeat(lock+"(hashtextextended(?, 0)),", len(what)), ",")
	return tx.Exec("SELECT "+each, args...).Error
}

// holders are the organisations whose word on credentials and delegations counts for a caller.
func holders(by models.Caller) []models.Party {
	if by.Supplier == "" {
		return []models.Party{by.Party}
	}
	return []models.Party{min(by.Party, by.Supplier), max(by.Party, by.Supplier)}
}

// decideIn holds what a question is decided by: the credentials and delegations of who asks, then the service.
func (s *Store) decideIn(tx *gorm.DB, resource string, by models.Caller) error {
	var what []string
	for _, p := range holders(by) {
		what = append(what, organisationHold(p))
	}
	return s.share(tx, append(what, resourceHold(resource))...)
}
