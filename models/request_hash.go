package models

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An Idempotency-Key means one request. The hash of that request is kept beside the key, and a request that comes again
// under it must have the same one. A hash says by which version it was made ("v2:…"; version 1 has no name), so that
// a retry that comes after an upgrade is held against what was kept before it.

// requestHashVersion names how requests are hashed now. Who changes what an existing request hashes to makes another
// version, and keeps this one as hashesOf keeps the first.
const requestHashVersion = "v2:"

// SameRequest tells whether a hash that was kept is one of those of a request: the newest, and by earlier versions those
// that may have been kept.
func SameRequest(kept string, hashes ...string) bool {
	return kept != "" && slices.Contains(hashes, kept)
}

// canonicalRequest is a request as it is hashed: its members by name, in the order of the code, each with its length. What is
// empty is left out, so that a member that is added later and not used changes no hash.
type canonicalRequest struct{ b strings.Builder }

// newCanonicalRequest begins a request of a kind, so that two kinds never hash alike.
func newCanonicalRequest(kind string) *canonicalRequest {
	c := &canonicalRequest{}
	c.text("request", kind)
	return c
}

func (c *canonicalRequest) text(name, value string) {
	if value != "" {
		fmt.Fprintf(&c.b, "%s %d:%s\n", name, len(value), value)
	}
}

func (c *canonicalRequest) flag(name string, on bool) {
	if on {
		c.text(name, "true")
	}
}

func (c *canonicalRequest) list(name string, values []string) {
	for i, v := range values {
		fmt.Fprintf(&c.b, "%s[%d] %d:%s\n", name, i, len(v), v)
	}
}

func (c *canonicalRequest) table(name string, values map[string]string) {
	for i, k := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&c.b, "%s{%d} %d:%s %d:%s\n", name, i, len(k), k, len(values[k]), values[k])
	}
}

func (c *canonicalRequest) hash() string {
	sum := sha256.Sum256([]byte(c.b.String()))
	return requestHashVersion + hex.EncodeToString(sum[:])
}

// hashesOf are the same for two drafts exactly when they ask for the same thing, as it is written: another spelling is
// another request. The proof is no part of it.
func hashesOf(d Draft) (hash, earlier string, err error) {
	c := newCanonicalRequest("submission")
	c.text("fileName", d.FileName)
	c.text("resourceId", d.ResourceID)
	c.text("sendersFileTransferReference", d.SendersReference)
	c.text("sender", d.Sender)
	c.list("recipients", d.Recipients)
	c.table("propertyList", d.PropertyList)
	c.text("checksum", d.Checksum)
	c.text("sha256", d.SHA256)
	c.flag("disableVirusScan", d.DisableVirusScan)
	earlier, err = hashV1(draftV1{
		d.FileName, d.ResourceID, d.SendersReference, d.Sender, d.Recipients, d.PropertyList, d.Checksum, d.SHA256, d.DisableVirusScan,
	})
	return c.hash(), earlier, err
}

// draftV1 is a draft as version 1 hashed it. It is frozen: a field more would change the hash of every old submission.
type draftV1 struct {
	FileName         string
	ResourceID       string
	SendersReference string
	Sender           string
	Recipients       []string
	PropertyList     map[string]string
	Checksum         string
	SHA256           string
	DisableVirusScan bool
}

// hashV1 is over JSON, which sorts the keys of maps.
func hashV1(d draftV1) (string, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("hash draft: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// SetRequestHashes notes what the subscription asks for, as given, in every version.
func (s *Subscription) SetRequestHashes() {
	c := newCanonicalRequest("subscription")
	c.text("endPoint", s.EndPoint)
	c.text("sourceFilter", s.SourceFilter)
	c.text("resourceFilter", s.ResourceID)
	c.text("subjectFilter", s.SubjectFilter)
	c.list("typeFilter", s.TypeFilter)
	s.RequestHash = c.hash()
	// version 1, frozen
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []any{s.EndPoint, s.SourceFilter, s.ResourceID, s.SubjectFilter, s.TypeFilter}))
	s.EarlierHash = hex.EncodeToString(sum[:])
}
