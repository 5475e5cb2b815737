package registry

import (
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Valid is the condition in SQL under which what a table's row gives holds at the moment @at: from valid_from, which
// counts, to valid_to, which does not; the same as models.Terms says of itself.
func Valid(table string) string {
	return fmt.Sprintf("(%[1]s.valid_from IS NULL OR %[1]s.valid_from <= @at) AND (%[1]s.valid_to IS NULL OR %[1]s.valid_to > @at)", table)
}

// validDelegations narrows a question to delegations that hold at a moment.
func validDelegations(g *gorm.DB, at time.Time) *gorm.DB {
	return g.Where(Valid("delegations"), sql.Named("at", at))
}
