package models

import (
	"time"

	"github.com/google/uuid"
)

// MaxSearchResults is the most ids one search answers with (reference 1.3, search).
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
