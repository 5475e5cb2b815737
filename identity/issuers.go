package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/formidling/formidling/models"
)

// Issuer is somebody whose tokens are accepted.
type Issuer struct {
	Name       string // exactly the claim iss
	Audience   string // must be among aud
	Algorithms []jose.SignatureAlgorithm
	Keys       Keys // they never verify another issuer's tokens
	// Scopes says what the issuer's scopes mean here; nil: they are ours. Other scopes mean nothing.
	Scopes map[string]string
	// MayStateDelegation lets the issuer say that one organisation acts for another. The registry is then not asked.
	MayStateDelegation bool

	own bool // set by TokenIssuer only: tokens that we minted ourselves
}

// check reports what an issuer lacks, field by field as in its configuration.
func (i Issuer) check() error {
	switch {
	case i.Name == "":
		return errors.New("issuer: it is required")
	case i.Audience == "":
		return errors.New("audience: it is required")
	case len(i.Algorithms) == 0:
		return errors.New("algorithms: at least one is required")
	case i.Keys == nil:
		return errors.New("jwks: it is required")
	}
	for _, a := range i.Algorithms {
		if !slices.Contains(Algorithms(), a) {
			return fmt.Errorf("algorithms: %q is none of %v", a, Algorithms())
		}
	}
	if i.Scopes != nil && len(i.Scopes) == 0 {
		return errors.New("scopes: an empty table permits nothing; leave it out to accept ours")
	}
	for theirs, ours := range i.Scopes {
		if theirs == "" || strings.ContainsAny(theirs, " \t\r\n") {
			return fmt.Errorf("scopes: %q is not one scope", theirs)
		}
		if !slices.Contains(models.AllScopes(), ours) {
			return fmt.Errorf("scopes: %q is none of %v", ours, models.AllScopes())
		}
	}
	return nil
}

// scopes translates the claim scope of a token (RFC 9068, 2.2.3).
func (i Issuer) scopes(claim string) []string {
	var out []string
	for _, theirs := range strings.Fields(claim) {
		ours := theirs
		if i.Scopes != nil {
			ours = i.Scopes[theirs]
		}
		if slices.Contains(models.AllScopes(), ours) && !slices.Contains(out, ours) {
			out = append(out, ours)
		}
	}
	return out
}

// issuerEntry is one entry of the configuration file.
type issuerEntry struct {
	Issuer             string                    `json:"issuer"`
	Keys               string                    `json:"jwks"`
	Algorithms         []jose.SignatureAlgorithm `json:"algorithms"`
	Audience           string                    `json:"audience"`
	Scopes             map[string]string         `json:"scopes"`
	MayStateDelegation bool                      `json:"mayStateDelegation"`
}

// ReadIssuers reads the file that names external issuers: a JSON list of
//
//	{"issuer": …, "jwks": URL or file, "algorithms": […], "audience": …,
//	 "scopes": {"their-scope": "altinn:broker.write", …}, "mayStateDelegation": false}
//
// scopes and mayStateDelegation may be left out. File names are relative to the configuration; URLs are
// not fetched before a token needs them. Failed fetches go to the log.
func ReadIssuers(file string, now func() time.Time, log *slog.Logger) ([]Issuer, error) {
	raw, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("read issuers: %w", err)
	}
	var entries []json.RawMessage
	if err := strictly(raw, &entries); err != nil {
		return nil, fmt.Errorf("read issuers %s: it is not a list: %w", file, err)
	}
	var out []Issuer
	for n, entry := range entries {
		i, err := readIssuer(entry, filepath.Dir(file), now, log)
		if err == nil && slices.ContainsFunc(out, func(other Issuer) bool { return other.Name == i.Name }) {
			err = errors.New("issuer: it is named twice")
		}
		if err != nil {
			return nil, fmt.Errorf("read issuers %s: entry %d (%q): %w", file, n+1, i.Name, err)
		}
		out = append(out, i)
	}
	return out, nil
}

func readIssuer(raw []byte, dir string, now func() time.Time, log *slog.Logger) (Issuer, error) {
	var e issuerEntry
	if err := strictly(raw, &e); err != nil {
		return Issuer{Name: e.Issuer}, err
	}
	i := Issuer{Name: e.Issuer, Audience: e.Audience, Algorithms: e.Algorithms, Scopes: e.Scopes, MayStateDelegation: e.MayStateDelegation}
	if e.Keys != "" {
		i.Keys = keyMap{} // until the other fields are known to be right
	}
	if err := i.check(); err != nil {
		return i, err
	}
	var err error
	if i.Keys, err = openKeys(e.Keys, dir, i.Algorithms, now, log); err != nil {
		return i, fmt.Errorf("jwks: %w", err)
	}
	return i, nil
}

func openKeys(place, dir string, algorithms []jose.SignatureAlgorithm, now func() time.Time, log *slog.Logger) (Keys, error) {
	if strings.Contains(place, "://") {
		return NewRemoteKeys(place, algorithms, now, log)
	}
	if !filepath.IsAbs(place) {
		place = filepath.Join(dir, place)
	}
	return ReadKeys(place, algorithms)
}

// strictly decodes one JSON value and refuses fields that nobody would read: a misspelt field is a rule
// that does not hold.
func strictly(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after it")
	}
	return nil
}
