package receipts

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
)

// Verdict says in words what a bundle proves.
type Verdict struct {
	Statement models.BundleStatement
	Receipts  []models.Receipt
	Sentences []string
	file      *models.ReceiptFile // the one that all receipts name; nil: no receipt names one
}

func (v *Verdict) say(format string, args ...any) {
	v.Sentences = append(v.Sentences, fmt.Sprintf(format, args...))
}

// maxBundleBytes bounds what is parsed.
const maxBundleBytes = 512 << 20

// Verify checks a whole bundle: a receipt that was changed, left out, moved or taken from elsewhere is an error that
// names it. trusted are keys that the reader has from the broker; without them the keys in the bundle are used, and
// the verdict says so.
func Verify(raw []byte, trusted *jose.JSONWebKeySet) (*Verdict, error) {
	var b models.ReceiptBundle
	if len(raw) > maxBundleBytes {
		return nil, errors.New("the bundle is too large")
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("the bundle cannot be read: %w", err)
	}
	if b.Format != models.BundleFormat {
		return nil, fmt.Errorf("this is no bundle of the form %s", models.BundleFormat)
	}
	v, keys := &Verdict{}, jose.JSONWebKeySet{}
	if trusted != nil {
		keys = *trusted
	} else if err := json.Unmarshal(b.Keys, &keys); err != nil {
		return nil, errors.New("the keys in the bundle cannot be read")
	}
	if err := open(keys.Keys, TypeBundle, b.Statement, &v.Statement); err != nil {
		return nil, fmt.Errorf("the statement of what the bundle holds is not valid: %w", err)
	}
	v.sayWho(trusted != nil)
	for _, check := range []func(models.ReceiptBundle, jose.JSONWebKeySet) error{v.checkReceipts, v.checkLog, v.checkProofs} {
		if err := check(b, keys); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *Verdict) sayWho(trusted bool) {
	s := v.Statement
	v.say("%s states at %s: these are all %d receipts of transfer %s that %s may see.", s.Issuer, s.At.Format(time.RFC3339), len(s.Receipts), s.Transfer, s.Viewer)
	if trusted {
		v.say("Every signature is by a key that you brought.")
	} else {
		v.say("Every signature is by a key that the bundle itself brings. That they are the broker's, only its key set tells: --keys FILE.")
	}
}

// checkReceipts checks that the receipts are those of the bundle's statement, in its order, and that each is signed,
// belongs to this transfer and this viewer, and is linked to the one before it.
func (v *Verdict) checkReceipts(b models.ReceiptBundle, keys jose.JSONWebKeySet) error {
	s := v.Statement
	if len(b.Receipts) != len(s.Receipts) {
		return fmt.Errorf("%d receipts are here, and %d were stated: the bundle was cut or added to", len(b.Receipts), len(s.Receipts))
	}
	last, prev := 0, ""
	for i, item := range b.Receipts {
		stated := s.Receipts[i]
		hash := models.ReceiptHash(item.JWS)
		if hash != stated.SHA256 {
			return fmt.Errorf("receipt %d of the bundle is not the one that was stated: it was changed, moved or comes from elsewhere", i+1)
		}
		r, err := Open(keys, item.JWS)
		if err != nil {
			return fmt.Errorf("receipt %d of the bundle is not valid: %w", i+1, err)
		}
		switch all := s.Viewer == s.Sender; {
		case r.Transfer != s.Transfer:
			return fmt.Errorf("receipt %d of the bundle is of another transfer", i+1)
		case r.Seq != stated.Seq || r.Seq <= last || all && r.Seq != last+1:
			return fmt.Errorf("receipt %d of the bundle has a wrong place in the chain", i+1)
		case !all && r.Recipient != s.Viewer:
			return fmt.Errorf("receipt %d of the bundle is for somebody else", i+1)
		case r.Seq == last+1 && r.Prev != prev:
			return fmt.Errorf("receipt %d of the bundle does not follow the one before it", i+1)
		}
		last, prev = r.Seq, hash
		v.Receipts = append(v.Receipts, r)
		v.say("#%d %s", r.Seq, models.Describe(r))
	}
	return v.sameFile()
}

// sameFile checks that all receipts name the same content.
func (v *Verdict) sameFile() error {
	for _, r := range v.Receipts {
		if r.File == nil {
			continue
		}
		if v.file != nil && *v.file != *r.File {
			return fmt.Errorf("receipt #%d speaks of another file than those before it", r.Seq)
		}
		v.file = r.File
	}
	if v.file != nil {
		v.say("The file has %d bytes, SHA-256 %s, MD5 %s.", v.file.Size, v.file.SHA256, v.file.MD5)
	}
	return nil
}

// checkLog checks that the log holds each receipt that the statement says it holds.
func (v *Verdict) checkLog(b models.ReceiptBundle, keys jose.JSONWebKeySet) error {
	s := v.Statement
	var tree tlog.Tree
	if s.LogSize > 0 || b.Checkpoint != "" {
		var err error
		if tree, err = OpenCheckpoint(keys, b.Checkpoint); err != nil {
			return fmt.Errorf("the checkpoint of the log is not valid: %w", err)
		}
		if tree.N != s.LogSize || tree.Hash.String() != s.LogRoot {
			return errors.New("the checkpoint of the log is not the one that was stated")
		}
	}
	logged := 0
	for i, r := range v.Receipts {
		item, stated := b.Receipts[i], s.Receipts[i]
		if (item.Leaf == nil) != (stated.Leaf == nil) || item.Leaf != nil && *item.Leaf != *stated.Leaf {
			return fmt.Errorf("receipt #%d has another place in the log than was stated", r.Seq)
		}
		if item.Leaf == nil {
			continue
		}
		if err := included(tree, *item.Leaf, item.Inclusion, LeafData(models.LeafReceipt, r.Transfer.String(), int64(r.Seq), stated.SHA256)); err != nil {
			return fmt.Errorf("the log does not hold receipt #%d: %w", r.Seq, err)
		}
		logged++
	}
	v.say("The broker's public log of %d leaves holds %d of the %d receipts; what it holds cannot be taken back unseen.", tree.N, logged, len(v.Receipts))
	return nil
}

func included(tree tlog.Tree, leaf int64, inclusion []string, data []byte) error {
	proof := make(tlog.RecordProof, len(inclusion))
	for i, text := range inclusion {
		h, err := tlog.ParseHash(text)
		if err != nil {
			return errors.New("its proof cannot be read")
		}
		proof[i] = h
	}
	if leaf < 0 || leaf >= tree.N || tlog.CheckRecord(proof, tree.N, tree.Hash, leaf, tlog.RecordHash(data)) != nil {
		return errors.New("its proof does not lead to the signed root")
	}
	return nil
}

// checkProofs checks that the parties' own signatures are those of the statement, that each is for the file, and that none
// that a receipt names is missing.
func (v *Verdict) checkProofs(b models.ReceiptBundle, _ jose.JSONWebKeySet) error {
	stated := v.Statement.Proofs
	if len(b.Proofs) != len(stated) {
		return fmt.Errorf("%d proofs are here, and %d were stated: the bundle was cut or added to", len(b.Proofs), len(stated))
	}
	for i, p := range b.Proofs {
		if p.Stated() != stated[i] {
			return fmt.Errorf("proof %d of the bundle is not the one that was stated: it was changed, moved or comes from elsewhere", i+1)
		}
		if v.file != nil && p.SHA256 != v.file.SHA256 {
			return fmt.Errorf("proof %d of the bundle is for other content than the file", i+1)
		}
		payload, err := v.signedBy(p)
		if err != nil {
			return fmt.Errorf("proof %d of the bundle: %w", i+1, err)
		}
		chain, err := identity.OpenProof(p.JWS, payload)
		if err != nil {
			return fmt.Errorf("proof %d of the bundle is not valid: %w", i+1, err)
		}
		if err := v.saySigner(p, chain); err != nil {
			return fmt.Errorf("proof %d of the bundle: %w", i+1, err)
		}
	}
	return v.proofsOfReceipts()
}

// proofsOfReceipts checks that the proof that a receipt names is in the bundle, and that a receipt names each proof of the
// viewer. The receipt of a sender's proof is for the sender alone.
func (v *Verdict) proofsOfReceipts() error {
	spoken := map[string]bool{}
	for _, r := range v.Receipts {
		if r.Claim == nil || r.Claim.Proof == "" {
			continue
		}
		at := slices.IndexFunc(v.Statement.Proofs, func(p models.StatedProof) bool { return p.Proof == r.Claim.Proof })
		if at < 0 {
			return fmt.Errorf("receipt #%d speaks of a proof that is missing", r.Seq)
		}
		if r.Claim.SHA256 != v.Statement.Proofs[at].SHA256 {
			return fmt.Errorf("receipt #%d speaks of a proof for other content", r.Seq)
		}
		spoken[r.Claim.Proof] = true
	}
	for i, p := range v.Statement.Proofs {
		mine := v.Statement.Viewer == p.Party || v.Statement.Viewer == v.Statement.Sender
		if mine && !spoken[p.Proof] {
			return fmt.Errorf("no receipt speaks of proof %d of the bundle", i+1)
		}
	}
	return nil
}

func (v *Verdict) saySigner(p models.BundledProof, chain []*x509.Certificate) error {
	signer, err := identity.Organisation(chain[0])
	if err != nil || signer != p.Party {
		return fmt.Errorf("the certificate is not that of %s", p.Party)
	}
	v.say("%s itself signed for the content %s%s, with its certificate %s issued by %q. That the certificate was valid then, the broker checked.",
		p.Party, p.SHA256, submissionWords(p), identity.Thumbprint(chain[0]), chain[0].Issuer.CommonName)
	return nil
}
