package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// record appends changes of one chain to the audit and returns the sequence number of the first. The rows
// that were changed take their number as version, so a version never comes back. The database links the
// entries (db/migrations/00003); the head of the chain stays locked until the transaction ends.
func record(tx *db.Tx, by models.Caller, changes ...models.Change) (first int64, err error) {
	at := tx.Now()
	for rest := changes; len(rest) > 0; {
		batch := rest[:min(len(rest), db.InsertBatch)]
		rest = rest[len(batch):]
		args := make([]any, 0, 5*len(batch))
		for _, c := range batch {
			text, err := models.NewAuditText(by, at, c)
			if err != nil {
				return 0, err
			}
			args = append(args, c.Chain, at, c.ResourceID, c.Subject, text)
		}
		rows := strings.TrimSuffix(strings.Repeat("(?, 0, ?, ?, ?, ?, '', ''),", len(batch)), ",")
		err := tx.Exec("INSERT INTO audit_entries (chain, seq, at, resource_id, subject, entry, prev, hash) VALUES "+rows, args...).Error
		if err != nil {
			return 0, err
		}
	}
	var last int64
	if err := tx.Raw("SELECT seq FROM audit_heads WHERE chain = ?", changes[0].Chain).Scan(&last).Error; err != nil {
		return 0, err
	}
	return last - int64(len(changes)) + 1, nil
}

// auditPageBytes bounds a page: one entry of a large access list is some MiB.
const auditPageBytes = 4 << 20

// AuditOf lists an organisation's chain, oldest first, up to the page's limit and some MiB; more tells that there are
// further entries.
func (s *Registry) AuditOf(ctx context.Context, chain models.Party, page models.AuditPage) (entries []models.AuditEntry, more bool, err error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	return auditPage(s.db.Read(ctx).Where("chain = ? AND seq > ?", chain, page.After), page)
}

// AuditOfResource lists what changed in a service and in the access lists of its owner, oldest first, as AuditOf does.
func (s *Registry) AuditOfResource(ctx context.Context, owner models.Party, resource string, page models.AuditPage) (entries []models.AuditEntry, more bool, err error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	if err := s.ownResource(ctx, owner, resource); err != nil {
		return nil, false, err
	}
	return auditPage(s.db.Read(ctx).
		Where("chain = ? AND seq > ? AND (resource_id = ? OR (resource_id = '' AND subject LIKE 'access-list/%'))", owner, page.After, resource), page)
}

// auditPage reads entries one by one, so that large ones are never in memory all together.
func auditPage(of *gorm.DB, page models.AuditPage) (entries []models.AuditEntry, more bool, err error) {
	rows, err := of.Model(&models.AuditEntry{}).Order("seq").Limit(page.Limit + 1).Rows()
	if err != nil {
		return nil, false, db.Unavailable("list audit", err)
	}
	defer func() { _ = rows.Close() }()
	size := 0
	for rows.Next() {
		if len(entries) == page.Limit || size >= cmp.Or(page.Bytes, auditPageBytes) {
			return entries, true, nil
		}
		var e models.AuditEntry
		if err := of.ScanRows(rows, &e); err != nil {
			return nil, false, db.Unavailable("list audit", err)
		}
		entries, size = append(entries, e), size+len(e.Entry)
	}
	return entries, false, db.Unavailable("list audit", rows.Err())
}

// AuditError is the first thing that is wrong with a chain.
type AuditError struct {
	Chain models.Party
	Seq   int64
	Text  string
}

// Error implements error.
func (f AuditError) Error() string { return fmt.Sprintf("%s, entry %d: %s", f.Chain, f.Seq, f.Text) }

// auditHead is where a chain ends, as the database keeps it.
type auditHead struct {
	Chain models.Party
	Seq   int64
	Hash  string
}

// VerifyAudit computes every link of every chain anew, and returns how many chains and entries are right. A
// chain that was changed, cut or reordered by somebody with access to the database gives an AuditError.
func (s *Registry) VerifyAudit(ctx context.Context) (chains int, entries int64, err error) {
	var heads []auditHead
	if err := s.db.Read(ctx).Table("audit_heads").Order("chain").Find(&heads).Error; err != nil {
		return 0, 0, db.Unavailable("read audit heads", err)
	}
	var orphan models.AuditEntry
	found := s.db.Read(ctx).Limit(1).Find(&orphan, "chain NOT IN (SELECT chain FROM audit_heads)")
	if found.Error != nil {
		return 0, 0, db.Unavailable("read audit", found.Error)
	}
	if found.RowsAffected > 0 {
		return 0, 0, AuditError{orphan.Chain, orphan.Seq, "the chain has no head"}
	}
	for _, h := range heads {
		n, err := s.verifyChain(ctx, h)
		entries += n
		if err != nil {
			return chains, entries, err
		}
		chains++
	}
	return chains, entries, nil
}

// verifyChain walks a chain to its end, which must lie at its head or, when entries were added meanwhile, beyond the
// head as it was and not beyond the head as it is.
func (s *Registry) verifyChain(ctx context.Context, h auditHead) (entries int64, err error) {
	last, passed := models.AuditEntry{Chain: h.Chain}, false
	for more := true; more; {
		var page []models.AuditEntry
		if page, more, err = s.AuditOf(ctx, h.Chain, models.AuditPage{After: last.Seq, Limit: 1000}); err != nil {
			return entries, err
		}
		for _, e := range page {
			if err := follows(last, e); err != nil {
				return entries, err
			}
			last = e
			entries++
			passed = passed || e.Seq == h.Seq && e.Hash == h.Hash
		}
	}
	if !passed {
		return entries, AuditError{h.Chain, last.Seq + 1, "the end of the chain is missing"}
	}
	var now auditHead
	if err := s.db.Read(ctx).Table("audit_heads").Take(&now, "chain = ?", h.Chain).Error; err != nil {
		return entries, db.Unavailable("read audit heads", err)
	}
	if now.Seq < last.Seq {
		return entries, AuditError{h.Chain, now.Seq + 1, "the head of the chain was set back"}
	}
	return entries, nil
}

// follows checks that an entry is the next link after another, and that its columns say what its text says.
func follows(last, e models.AuditEntry) error {
	fault := func(text string) error { return AuditError{e.Chain, e.Seq, text} }
	if e.Seq != last.Seq+1 {
		return AuditError{e.Chain, last.Seq + 1, "the entry is missing"}
	}
	if e.Prev != last.Hash {
		return fault("it does not follow the entry before it")
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", e.Prev, e.Seq, e.Entry))
	if hex.EncodeToString(sum[:]) != e.Hash {
		return fault("it was changed: its hash is another")
	}
	var text models.AuditText
	if err := json.Unmarshal([]byte(e.Entry), &text); err != nil {
		return fault("its text cannot be read")
	}
	if !text.At.Truncate(time.Microsecond).Equal(e.At) || text.Resource != e.ResourceID || text.Subject != e.Subject {
		return fault("its columns do not say what its text says")
	}
	return nil
}
