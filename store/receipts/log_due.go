package receipts

import (
	"context"
	"strings"

	"github.com/formidling/formidling/store/db"
)

// logQuestionsDue find what there is to do for the log: facts that no receipt tells of, and for who signs, receipts without
// a signature, what has no leaf, and leaves that no checkpoint covers. Each looks at most at one row of a small index.
var logQuestionsDue = struct{ facts, signed []string }{
	facts: []string{
		"SELECT 1 FROM content_accesses WHERE " + overAccesses + " AND receipt_seq IS NULL",
		"SELECT 1 FROM statements WHERE receipt_seq IS NULL AND kind IN ('mismatch', 'acknowledgement', 'sender-proof')",
		"SELECT 1 FROM notifications WHERE receipt_seq IS NULL",
	},
	signed: []string{
		"SELECT 1 FROM receipt_chains WHERE signed < last",
		"SELECT 1 FROM log_pendings",
		"SELECT 1 FROM audit_heads h LEFT JOIN log_audits l ON l.chain = h.chain WHERE h.seq > coalesce(l.seq, 0)",
		"SELECT 1 FROM log_states WHERE size > coalesce((SELECT max(size) FROM log_checkpoints), 0)",
	},
}

// LogDue tells whether receipts are to be made of facts or, by who signs, anything is to be signed or logged.
func (s *Receipts) LogDue(ctx context.Context, signs bool) (due bool, err error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	questions := logQuestionsDue.facts
	if signs {
		questions = append(questions[:len(questions):len(questions)], logQuestionsDue.signed...)
	}
	query := "SELECT EXISTS (" + strings.Join(questions, ") OR EXISTS (") + ")"
	err = s.db.Read(ctx).Raw(query, s.db.Now().Add(-silentAfter)).Scan(&due).Error
	return due, db.Unavailable("look what is due for the log", err)
}
