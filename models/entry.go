package models

// Entry is one entry of the registry: something that is read, changed under a condition, and audited.
type Entry interface {
	Audited
	// EntryVersion is the sequence number of the audit entry that wrote it: its ETag.
	EntryVersion() int64
}

// EntryVersion implements Entry.
func (r Resource) EntryVersion() int64 { return r.Version }

// EntryVersion implements Entry.
func (g Grant) EntryVersion() int64 { return g.Version }

// EntryVersion implements Entry.
func (l AccessList) EntryVersion() int64 { return l.Version }

// EntryVersion implements Entry.
func (c AccessListConnection) EntryVersion() int64 { return c.Version }

// EntryVersion implements Entry.
func (d Delegation) EntryVersion() int64 { return d.Version }

// EntryVersion implements Entry.
func (r AccessRequest) EntryVersion() int64 { return r.Version }

// EntryVersion implements Entry.
func (c Client) EntryVersion() int64 { return c.Version }

// EntryVersion implements Entry.
func (l CredentialLock) EntryVersion() int64 { return l.Version }

// EntryVersion implements Entry.
func (s Subscription) EntryVersion() int64 { return s.Version }

// EntryVersion implements Entry; who is a service owner stays one, so there is no second version.
func (o ServiceOwner) EntryVersion() int64 { return 0 }
