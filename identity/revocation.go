package identity

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxList bounds a revocation list, in bytes; the largest one of the Norwegian issuers has 150 KB.
	maxList = 16 << 20
	// refreshEvery is how often a list is fetched; a revocation takes at most that long to be seen.
	refreshEvery = time.Hour
	// retryAfter is the pause after a first failure; it doubles up to refreshEvery.
	retryAfter = 30 * time.Second
	// retryRefused is the longest pause while the issuer's certificates are refused for want of a list.
	retryRefused = 5 * time.Minute
	// clockSkew is how far ahead of ours the issuer's clock may be.
	clockSkew = 5 * time.Minute
)

// The reasons of RFC 5280 5.3.1 that matter here.
const (
	reasonHold          = 6
	reasonRemoveFromCRL = 8
)

var oidIssuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}

// revocations is one revocation list, made ready for look-ups.
type revocations struct {
	number                 *big.Int // nil when the issuer does not count
	thisUpdate, nextUpdate time.Time
	reasons                map[string]int // by serialKey
}

// revocationSource holds the list of one CA and gets the next one.
type revocationSource struct {
	name, location string
	signer         *x509.Certificate
	client         *http.Client
	grace          time.Duration
	now            func() time.Time
	log            *slog.Logger

	refreshing sync.Mutex
	current    atomic.Pointer[revocations]
}

func newRevocationSource(i IssuingCA, client *http.Client, o TrustOptions) *revocationSource {
	return &revocationSource{
		name: i.Name, location: i.CRL, signer: i.Certificate, client: client, grace: o.Grace, now: o.Now,
		log: o.Log.With("issuer", i.Name, "crl", i.CRL),
	}
}

// serialKey is a certificate's number as a key of a map.
func serialKey(serial *big.Int) string { return string(serial.Bytes()) }

// check refuses certificates that are revoked or on hold, and all of them when nobody can know.
func (s *revocationSource) check(serial string, now time.Time) error {
	list := s.current.Load()
	if list == nil {
		return refuse("the revocation list of " + s.name + " was never loaded")
	}
	if now.After(list.nextUpdate.Add(s.grace)) {
		return refuse("the revocation list of " + s.name + " is out of date since " + list.nextUpdate.Format(time.RFC3339))
	}
	if reason, is := list.reasons[serial]; is {
		if reason == reasonHold {
			return refuse("it is on hold")
		}
		return refuse(fmt.Sprintf("it is revoked, with reason %d", reason))
	}
	return nil
}

// run refreshes the list hourly, and sooner after a failure.
func (s *revocationSource) run(ctx context.Context) {
	pause, failures := time.Duration(0), 0
	if s.current.Load() != nil {
		pause = refreshEvery
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := s.refresh(ctx); err != nil {
			pause = min(retryAfter<<min(failures, 10), refreshEvery)
			if s.expired() {
				pause = min(pause, retryRefused)
			}
			failures++
		} else {
			pause, failures = refreshEvery, 0
		}
		timer.Reset(pause)
	}
}

// expired tells that the issuer's certificates are refused, because nobody can know which are revoked.
func (s *revocationSource) expired() bool {
	list := s.current.Load()
	return list == nil || s.now().After(list.nextUpdate.Add(s.grace))
}

// refresh gets the list once, and logs how that went.
func (s *revocationSource) refresh(ctx context.Context) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	err := s.load(ctx)
	list := s.current.Load()
	switch {
	case err == nil:
		s.log.InfoContext(ctx, "revocation list loaded", "entries", len(list.reasons), "next_update", list.nextUpdate)
		return nil
	case ctx.Err() != nil:
	case s.expired():
		s.log.ErrorContext(ctx, "revocation list not loaded, the issuer's certificates are refused", "error", err)
	default:
		s.log.WarnContext(ctx, "revocation list not loaded, the last one still holds", "error", err, "next_update", list.nextUpdate)
	}
	return fmt.Errorf("load revocation list of %s: %w", s.name, err)
}

func (s *revocationSource) load(ctx context.Context) error {
	der, err := s.read(ctx)
	if err != nil {
		return err
	}
	list, err := readRevocations(der, s.signer)
	if err != nil {
		return err
	}
	now, last := s.now(), s.current.Load()
	switch {
	case list.thisUpdate.After(now.Add(clockSkew)):
		return fmt.Errorf("it is from the future: %s", list.thisUpdate.Format(time.RFC3339))
	case last != nil && list.olderThan(last):
		return fmt.Errorf("it is older than the last one, of %s", last.thisUpdate.Format(time.RFC3339))
	}
	s.current.Store(list)
	if now.After(list.nextUpdate) {
		return fmt.Errorf("it is out of date since %s", list.nextUpdate.Format(time.RFC3339))
	}
	return nil
}

// olderThan guards against somebody who plays back a list from before a revocation.
func (r *revocations) olderThan(last *revocations) bool {
	if r.thisUpdate.Before(last.thisUpdate) {
		return true
	}
	return last.number != nil && (r.number == nil || r.number.Cmp(last.number) < 0)
}

// read gets the bytes from the pinned place.
func (s *revocationSource) read(ctx context.Context) ([]byte, error) {
	if !isAddress(s.location) {
		f, err := os.Open(s.location)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return readList(f)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.location, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its server answered %s", response.Status)
	}
	return readList(response.Body)
}

func isAddress(location string) bool {
	return strings.HasPrefix(location, "https://") || strings.HasPrefix(location, "http://")
}

func readList(r io.Reader) ([]byte, error) {
	der, err := io.ReadAll(io.LimitReader(r, maxList+1))
	if err == nil && len(der) > maxList {
		err = fmt.Errorf("it has more than %d bytes", maxList)
	}
	return der, err
}

// readRevocations checks a list and makes it ready for look-ups. A list that speaks of some certificates
// or some reasons only would leave others unrevoked, so it is refused.
func readRevocations(der []byte, signer *x509.Certificate) (*revocations, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	if string(list.RawIssuer) != string(signer.RawSubject) {
		return nil, errors.New("it is another issuer's")
	}
	if err := list.CheckSignatureFrom(signer); err != nil {
		return nil, err
	}
	if list.NextUpdate.IsZero() {
		return nil, errors.New("it does not say when the next one comes")
	}
	for _, e := range list.Extensions {
		if e.Critical && (!e.Id.Equal(oidIssuingDistributionPoint) || !ofAllUsers(e.Value)) {
			return nil, fmt.Errorf("its critical extension %s is not understood", e.Id)
		}
	}
	r := &revocations{
		number: list.Number, thisUpdate: list.ThisUpdate, nextUpdate: list.NextUpdate,
		reasons: make(map[string]int, len(list.RevokedCertificateEntries)),
	}
	for _, e := range list.RevokedCertificateEntries {
		if err := r.add(e); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *revocations) add(e x509.RevocationListEntry) error {
	for _, x := range e.Extensions {
		if x.Critical {
			return fmt.Errorf("an entry's critical extension %s is not understood", x.Id)
		}
	}
	key := serialKey(e.SerialNumber)
	switch before, listed := r.reasons[key]; {
	case e.ReasonCode == reasonRemoveFromCRL:
		if before == reasonHold {
			delete(r.reasons, key)
		}
	case !listed || before == reasonHold:
		r.reasons[key] = e.ReasonCode
	}
	return nil
}

// ofAllUsers tells whether an issuingDistributionPoint says no more than where the list is and that it has
// no CAs: fields [0] and [1] of RFC 5280 5.2.5. The others make it a list of CAs, of some reasons, or indirect.
func ofAllUsers(der []byte) bool {
	var fields []asn1.RawValue
	rest, err := asn1.Unmarshal(der, &fields)
	if err != nil || len(rest) > 0 {
		return false
	}
	for _, f := range fields {
		if f.Class != asn1.ClassContextSpecific || f.Tag > 1 {
			return false
		}
	}
	return true
}
