package reads

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// hit is one row of a search: a transfer and its place on the timeline that was asked for.
type hit struct {
	ID uuid.UUID
	At instant
}

// instant is a time that may come as text: SQLite forgets the type of what a subquery computes.
type instant struct{ time.Time }

// Scan implements sql.Scanner.
func (i *instant) Scan(v any) (err error) {
	switch v := v.(type) {
	case time.Time:
		i.Time = v
	case string:
		i.Time, err = time.Parse("2006-01-02 15:04:05.999999999-07:00", v)
	default:
		err = fmt.Errorf("scan instant: cannot read %T", v)
	}
	return err
}

// Value implements driver.Valuer; GORM wants it beside Scan.
func (i instant) Value() (driver.Value, error) { return i.Time, nil }

// SearchTransfers finds transfers that the caller sent or received (docs/reference/altinn-broker.md 1.3, search), one page
// at a time. Sent and received are two index scans of at most one page each, merged here.
func (s *Reads) SearchTransfers(ctx context.Context, q models.Search) (models.SearchPage, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var hits []hit
	if q.RecipientStatus == nil && q.Role != models.RoleRecipient {
		var sent []hit
		if err := s.sent(ctx, q).Scan(&sent).Error; err != nil {
			return models.SearchPage{}, db.Unavailable("search transfers", err)
		}
		hits = append(hits, sent...)
	}
	if q.RecipientStatus != nil || q.Role != models.RoleSender {
		var received []hit
		if err := s.received(ctx, q).Scan(&received).Error; err != nil {
			return models.SearchPage{}, db.Unavailable("search transfers", err)
		}
		hits = append(hits, received...)
	}
	return page(hits, q), nil
}

// page sorts, drops who was both sender and recipient of one transfer, and cuts.
func page(hits []hit, q models.Search) models.SearchPage {
	slices.SortFunc(hits, func(a, b hit) int {
		order := a.At.Compare(b.At.Time)
		if order == 0 {
			order = slices.Compare(a.ID[:], b.ID[:])
		}
		if q.Ascending {
			return order
		}
		return -order
	})
	hits = slices.CompactFunc(hits, func(a, b hit) bool { return a.ID == b.ID })
	out := models.SearchPage{IDs: make([]uuid.UUID, 0, q.Limit)}
	for i, h := range hits {
		if i == q.Limit {
			last := hits[i-1]
			out.Next = &models.SearchPosition{At: last.At.Time, ID: last.ID}
			break
		}
		out.IDs = append(out.IDs, h.ID)
	}
	return out
}

// columns name what a search compares, in the table it scans.
type columns struct{ id, reference, created, status, statusChanged string }

var (
	sentColumns     = columns{"transfers.id", "transfers.reference_digest", "transfers.created", "transfers.status", "transfers.status_changed"}
	receivedColumns = columns{"recipients.transfer_id", "recipients.reference_digest", "recipients.created", "recipients.transfer_status", "recipients.transfer_status_changed"}
)

func (s *Reads) sent(ctx context.Context, q models.Search) *gorm.DB {
	g := s.db.Read(ctx).Table("transfers").Where("transfers.sender = ? AND transfers.resource_id = ?", q.Caller, q.ResourceID)
	return restrict(g, q, sentColumns)
}

func (s *Reads) received(ctx context.Context, q models.Search) *gorm.DB {
	g := s.db.Read(ctx).Table("recipients").Where("recipients.party = ? AND recipients.resource_id = ?", q.Caller, q.ResourceID)
	if q.RecipientStatus != nil {
		g = withRecipientStatus(g, *q.RecipientStatus)
	}
	return restrict(g, q, receivedColumns)
}

const accessed = "EXISTS (SELECT 1 FROM content_accesses a WHERE a.transfer_id = recipients.transfer_id AND a.party = recipients.party)"

func withRecipientStatus(g *gorm.DB, status models.RecipientStatus) *gorm.DB {
	switch status {
	case models.RecipientInitialized:
		return g.Where("recipients.confirmed IS NULL AND NOT " + accessed)
	case models.RecipientDownloadStarted:
		return g.Where("recipients.confirmed IS NULL AND " + accessed)
	case models.RecipientDownloadConfirmed:
		return g.Where("recipients.confirmed IS NOT NULL")
	}
	return g.Where("1 = 0")
}

// restrict adds the reference and the status, and chooses the timeline: when the transfer entered the status asked for,
// or when it was created.
func restrict(g *gorm.DB, q models.Search, c columns) *gorm.DB {
	timeline := c.created
	if q.SendersReference != "" {
		g = g.Where(c.reference+" = ?", models.ReferenceDigest(q.SendersReference))
	}
	if q.Status != nil {
		timeline = c.statusChanged
		stored := *q.Status
		attempted := "EXISTS (SELECT 1 FROM upload_attempts u WHERE u.transfer_id = " + c.id + ")"
		received := "FROM tus_uploads u WHERE u.transfer_id = " + c.id + " AND NOT u.part AND u.ended IS NULL AND u.completed IS NOT NULL"
		staged := "(EXISTS (SELECT 1 FROM staged_contents u WHERE u.transfer_id = " + c.id + ") OR EXISTS (SELECT 1 " + received + "))"
		switch *q.Status {
		case models.TransferInitialized:
			g = g.Where("NOT " + attempted)
		case models.TransferUploadStarted:
			stored = models.TransferInitialized
			timeline = "(SELECT u.started FROM upload_attempts u WHERE u.transfer_id = " + c.id + " ORDER BY u.started LIMIT 1)"
			g = g.Where(attempted + " AND NOT " + staged)
		case models.TransferUploadProcessing:
			stored = models.TransferInitialized
			timeline = "coalesce((SELECT u.staged FROM staged_contents u WHERE u.transfer_id = " + c.id + " ORDER BY u.staged LIMIT 1)," +
				" (SELECT u.completed " + received + "))"
			g = g.Where(staged)
		default:
		}
		g = g.Where(c.status+" = ?", stored)
	}
	return order(within(g, q, timeline), q, timeline, c.id)
}

// within keeps what lies in the time asked for: both ends inclusive, a lone end exclusive (docs/reference/altinn-broker.md 1.3, search).
func within(g *gorm.DB, q models.Search, timeline string) *gorm.DB {
	switch {
	case q.From != nil && q.To != nil:
		return g.Where(timeline+" BETWEEN ? AND ?", q.From.UTC(), q.To.UTC())
	case q.From != nil:
		return g.Where(timeline+" > ?", q.From.UTC())
	case q.To != nil:
		return g.Where(timeline+" < ?", q.To.UTC())
	}
	return g
}

func order(g *gorm.DB, q models.Search, timeline, id string) *gorm.DB {
	direction, compare := " DESC", " < "
	if q.Ascending {
		direction, compare = " ASC", " > "
	}
	if q.After != nil {
		g = g.Where("("+timeline+", "+id+")"+compare+"(?, ?)", q.After.At, q.After.ID)
	}
	return g.Select(id + " AS id, " + timeline + " AS at").Order(timeline + direction).Order(id + direction).Limit(q.Limit + 1)
}
