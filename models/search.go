package models

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// MaxSearchResults is the most ids one search answers with (docs/reference/altinn-broker.md 1.3, search).
const MaxSearchResults = 100

// Search asks for the transfers of one caller in one service. Zero values mean "any".
type Search struct {
	Caller           Party
	ResourceID       string
	Status           *TransferStatus
	RecipientStatus  *RecipientStatus // only transfers received by the caller; Role is ignored then
	From, To         *time.Time       // both: inclusive; one: exclusive
	Role             Role             // empty: either
	SendersReference string
	Ascending        bool
	Limit            int
	After            *SearchPosition // continue behind this
}

// Within narrows a search to roles in which the caller may look: ErrNoAccess for a search in another one.
func (q Search) Within(roles []Role) (Search, error) {
	asked := q.Role
	if q.RecipientStatus != nil {
		asked = RoleRecipient
	}
	if asked == "" && len(roles) == 1 {
		q.Role = roles[0]
		return q, nil
	}
	if asked != "" && !slices.Contains(roles, asked) {
		return q, ErrNoAccess
	}
	return q, nil
}

// SearchPosition is where a page of results ended.
type SearchPosition struct {
	At time.Time
	ID uuid.UUID
}

// SearchPage is one page of results, in the order asked for. Next is nil on the last page.
type SearchPage struct {
	IDs  []uuid.UUID
	Next *SearchPosition
}
