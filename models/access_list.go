package models

import (
	"maps"
	"regexp"
	"slices"
	"time"
)

// AccessList is a set of organisations that its owner connects to any number of its services.
type AccessList struct {
	Owner       Party  `gorm:"primaryKey"`
	ID          string `gorm:"primaryKey"`
	Name        string
	Description string
	Version     int64 // of the last change of the list or its members
	Created     time.Time
	Updated     time.Time
}

var listPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,99}$`)

// CheckListID refuses what cannot be the id of an access list.
func CheckListID(id string) error {
	if !listPattern.MatchString(id) {
		return InvalidField("identifier", "The identifier must be 1 to 100 of a-z, 0-9, - and _, and begin with a letter or digit.")
	}
	return nil
}

// Check tells what is wrong with the list.
func (l AccessList) Check() error {
	var c checker
	c.text("name", l.Name, MaxName)
	c.note("description", l.Description)
	return Invalid(c.found)
}

// Audited implements Audited.
func (l AccessList) Audited() map[string]any {
	return map[string]any{"identifier": l.ID, "name": l.Name, "description": l.Description}
}

// DeletedAccessList is a list as it was when it was deleted.
type DeletedAccessList struct {
	AccessList
	Members []AccessListMember
}

// Audited implements Audited.
func (d DeletedAccessList) Audited() map[string]any {
	f := d.AccessList.Audited()
	f["members"] = validities(d.Members)
	return f
}

// AccessListMember is an organisation in a list.
type AccessListMember struct {
	Owner        Party  `gorm:"primaryKey"`
	ListID       string `gorm:"primaryKey"`
	Organisation Party  `gorm:"primaryKey"`
	ValidFrom    *time.Time
	ValidTo      *time.Time
	Since        time.Time
}

// Check tells what is wrong with the membership.
func (m AccessListMember) Check() error {
	var c checker
	c.validity(m.ValidFrom, m.ValidTo)
	return Invalid(c.found)
}

// MemberChange is one change of a list's members.
type MemberChange struct {
	Put     []AccessListMember // added, or given another validity
	Remove  []Party
	Replace bool // whoever is not put is removed
}

// Audited implements Audited.
func (m MemberChange) Audited() map[string]any {
	return map[string]any{"put": validities(m.Put), "removed": slices.Sorted(slices.Values(m.Remove)), "replaced": m.Replace}
}

func validities(members []AccessListMember) map[Party]any {
	out := make(map[Party]any, len(members))
	for _, m := range members {
		out[m.Organisation] = map[string]any{"validFrom": m.ValidFrom, "validTo": m.ValidTo}
	}
	return out
}

// Named is every organisation that the change names.
func (m MemberChange) Named() []Party {
	out := slices.Clone(m.Remove)
	for _, p := range m.Put {
		out = append(out, p.Organisation)
	}
	return out
}

// Difference is what the change really changes in a list that has these members: those concerned as they were,
// and as they become.
func (m MemberChange) Difference(have []AccessListMember) (before, after MemberChange) {
	kept := make(map[Party]AccessListMember, len(have))
	for _, h := range have {
		kept[h.Organisation] = h
	}
	put := map[Party]bool{}
	for _, p := range m.Put {
		if put[p.Organisation] {
			continue
		}
		put[p.Organisation] = true
		old, known := kept[p.Organisation]
		if known && sameTime(old.ValidFrom, p.ValidFrom) && sameTime(old.ValidTo, p.ValidTo) {
			continue
		}
		if known {
			before.Put, p.Since = append(before.Put, old), old.Since
		}
		after.Put = append(after.Put, p)
	}
	gone := map[Party]bool{}
	for _, p := range m.Remove {
		gone[p] = true
	}
	for _, h := range have {
		if gone[h.Organisation] || m.Replace && !put[h.Organisation] {
			before.Put, after.Remove = append(before.Put, h), append(after.Remove, h.Organisation)
		}
	}
	after.Replace = m.Replace
	return before, after
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// AccessListConnection gives every member of a list the same terms in a service of the list's owner.
type AccessListConnection struct {
	ResourceID string `gorm:"primaryKey"`
	ListID     string `gorm:"primaryKey"`
	Owner      Party
	Terms      `gorm:"embedded"`
	Version    int64
	Updated    time.Time
}

// Audited implements Audited.
func (c AccessListConnection) Audited() map[string]any {
	f := maps.Clone(c.facts())
	f["resource"], f["list"] = c.ResourceID, c.ListID
	return f
}
