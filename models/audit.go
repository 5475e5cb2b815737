package models

import (
	"encoding/json"
	"fmt"
	"time"
)

// Audited is what can stand in the audit as it was before and after a change.
type Audited interface{ Audited() map[string]any }

// Change is one change of the registry, as its audit tells it.
type Change struct {
	Chain      Party  // the organisation whose registry changes
	ResourceID string // the service that is concerned; empty: none in particular
	Action     string // such as grant.put
	Subject    string // such as organization/0192:310000027
	Before     Audited
	After      Audited
}

// AuditEntry is one link of an organisation's chain. Seq has no gaps; Hash is the database's SHA-256, in hex,
// of Prev, Seq and Entry, each on a line of its own.
type AuditEntry struct {
	Chain      Party `gorm:"primaryKey"`
	Seq        int64 `gorm:"primaryKey"`
	At         time.Time
	ResourceID string
	Subject    string
	Entry      string // JSON, see NewAuditText
	Prev       string
	Hash       string
}

// AuditText is what an entry says.
type AuditText struct {
	At         time.Time      `json:"at"`
	Actor      Party          `json:"actor"`
	Credential string         `json:"credential"`
	Resource   string         `json:"resource,omitempty"`
	Action     string         `json:"action"`
	Subject    string         `json:"subject"`
	Before     map[string]any `json:"before"`
	After      map[string]any `json:"after"`
}

// NewAuditText writes down who changed what, and how it was before.
func NewAuditText(by Caller, at time.Time, c Change) (string, error) {
	text := AuditText{
		At: at, Actor: by.Holder(), Credential: by.Credential.String(), Resource: c.ResourceID, Action: c.Action, Subject: c.Subject,
	}
	if c.Before != nil {
		text.Before = c.Before.Audited()
	}
	if c.After != nil {
		text.After = c.After.Audited()
	}
	raw, err := json.Marshal(text)
	if err != nil {
		return "", fmt.Errorf("write audit entry: %w", err)
	}
	return string(raw), nil
}

// AuditPage bounds a question for audit entries.
type AuditPage struct {
	After int64 // sequence number
	Limit int   // entries
	Bytes int   // the page ends after the entry that reaches them; 0: 4 MiB
}
