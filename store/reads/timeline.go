package reads

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// TimelineFor tells all that happened to a transfer in one list, oldest first, with one entry for each change: as the
// sender, a recipient or the service owner may see it. models.ErrTransferNotFound for everybody else. Of each kind it
// reads what fits into the page and no more. Whoever reads on at the place behind a page misses none of what was there,
// but what is written later of an earlier moment.
func (s *Reads) TimelineFor(ctx context.Context, id uuid.UUID, q models.TimelineQuery) (models.TimelineView, []models.TimelineEntry, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	b := timeline{db: s.db.Read(ctx), viewer: q.Viewer, withheld: q.Withheld, from: q.From.At.UTC(), most: q.From.Passed + q.Limit}
	if err := b.admit(id); err != nil {
		return b.view, nil, db.Unavailable("read timeline", err)
	}
	for _, part := range []func() error{b.statuses, b.uploads, b.recipients, b.events, b.notifications, b.accesses, b.statements, b.receipts} {
		if err := part(); err != nil {
			return b.view, nil, db.Unavailable("read timeline", err)
		}
	}
	order := map[models.TimelineKind]int{}
	for n, k := range models.TimelineKinds() {
		order[k] = n
	}
	slices.SortStableFunc(b.entries, func(x, y models.TimelineEntry) int {
		if c := x.At.Compare(y.At); c != 0 {
			return c
		}
		return order[x.Kind] - order[y.Kind]
	})
	page := b.entries[b.passed(q.From):]
	return b.view, page[:min(q.Limit, len(page))], nil
}

// timeline is a list in the making.
type timeline struct {
	db       *gorm.DB
	viewer   models.Party
	withheld models.Role
	from     time.Time // of no moment before
	most     int       // entries of each kind
	view     models.TimelineView
	t        models.Transfer
	entries  []models.TimelineEntry
}

// page reads what fits into the page, in order of a column and then of others.
func (b *timeline) page(q *gorm.DB, at, then string) *gorm.DB {
	return q.Where(at+" >= ?", b.from).Order(at + ", " + then).Limit(b.most)
}

// passed counts the entries that were read before.
func (b *timeline) passed(place models.TimelinePlace) int {
	n := 0
	for n < min(place.Passed, len(b.entries)) && b.entries[n].At.Equal(place.At) {
		n++
	}
	return n
}

// admit finds out how the viewer takes part.
func (b *timeline) admit(id uuid.UUID) error {
	if err := b.db.Take(&b.t, "id = ?", id).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		return models.ErrTransferNotFound
	} else if err != nil || b.t.Sender == b.viewer && b.withheld != models.RoleSender {
		return err
	}
	var parties, owned int64
	err := b.db.Model(&models.Recipient{}).Where("transfer_id = ? AND party = ?", id, b.viewer).Count(&parties).Error
	if err == nil {
		err = b.db.Model(&models.Resource{}).Where("id = ? AND owner = ?", b.t.ResourceID, b.viewer).Count(&owned).Error
	}
	switch {
	case err != nil:
		return err
	case owned > 0 && parties == 0:
		b.view = models.TimelineOfOwner
	case parties > 0:
		b.view = models.TimelineOfRecipient
	default:
		return models.ErrTransferNotFound
	}
	return nil
}

// of narrows a question about recipients to those that the viewer may see.
func (b *timeline) of(column string, more ...any) *gorm.DB {
	q := b.db.Where("transfer_id = ?", b.t.ID)
	if b.view == models.TimelineOfRecipient {
		q = q.Where(column+" IN ?", append([]any{b.viewer}, more...))
	}
	return q
}

func (b *timeline) add(e models.TimelineEntry) {
	e.At = e.At.UTC()
	b.entries = append(b.entries, e)
}

// written is what a party wrote; the service owner does not read it.
func (b *timeline) written(text string) string {
	if b.view == models.TimelineOfOwner {
		return ""
	}
	return text
}

func (b *timeline) statuses() error {
	var rows []models.StatusChange
	if err := b.page(b.db, "at", "seq").Find(&rows, "transfer_id = ?", b.t.ID).Error; err != nil {
		return err
	}
	actors, err := b.actorsOf(rows)
	if err != nil {
		return err
	}
	for _, r := range rows {
		e := models.TimelineEntry{At: r.At, Kind: models.TimelineStatus, What: r.Status.String(), Cause: r.Text}
		switch r.Status {
		case models.TransferInitialized, models.TransferUploadStarted, models.TransferCancelled:
			e.Actor = b.t.Sender
		default:
		}
		if e.Cause == "" {
			e.Cause = r.Status.Text()
		}
		b.add(b.by(e, actors[r.Status]))
	}
	return nil
}

func (b *timeline) uploads() error {
	var rows []models.UploadAttempt
	if err := b.page(b.db, "started", "id").Find(&rows, "transfer_id = ?", b.t.ID).Error; err != nil {
		return err
	}
	for _, r := range rows {
		e := models.TimelineEntry{At: r.Started, Kind: models.TimelineUpload, What: "UploadBegan", Actor: b.t.Sender, Cause: "an upload attempt began"}
		b.add(b.by(e, r.Actor))
	}
	var staged []models.StagedContent
	if err := b.page(b.db, "staged", "attempt_id").Find(&staged, "transfer_id = ?", b.t.ID).Error; err != nil {
		return err
	}
	for _, r := range staged {
		e := models.TimelineEntry{At: r.Staged, Kind: models.TimelineUpload, What: "UploadStored", Actor: b.t.Sender, Cause: fmt.Sprintf("%d bytes are durable", r.Size)}
		b.add(b.by(e, r.Actor))
	}
	return nil
}

func (b *timeline) recipients() error {
	var rows []models.Recipient
	if err := b.page(b.of("party"), "delivered", "ordinal").Find(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		b.add(models.TimelineEntry{At: *r.Delivered, Kind: models.TimelineDelivery, What: "Delivered", Recipient: r.Party, Cause: "the file became visible to the recipient"})
	}
	rows = nil
	if err := b.page(b.of("party"), "confirmed", "ordinal").Find(&rows).Error; err != nil {
		return err
	}
	parties := make([]models.Party, len(rows))
	for i, r := range rows {
		parties[i] = r.Party
	}
	actors, err := b.said(models.StatementConfirmation, parties...)
	if err != nil {
		return err
	}
	for _, r := range rows {
		e := models.TimelineEntry{At: *r.Confirmed, Kind: models.TimelineConfirmation, What: "DownloadConfirmed", Actor: r.Party, Recipient: r.Party, Cause: "the recipient confirmed that it has the file"}
		b.add(b.by(e, actors[r.Party]))
	}
	return nil
}

func (b *timeline) events() error {
	var rows []models.Event
	q := b.of("party")
	if b.withheld == models.RoleSender {
		q = q.Where("(party <> ? OR role <> ?)", b.viewer, b.withheld)
	}
	if err := b.page(q, "at", "party, seq").Find(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		e := models.TimelineEntry{At: r.At, Kind: models.TimelineNotification, What: string(r.Type), Recipient: r.Party, Cause: "an event in the feed of " + string(r.Party)}
		if r.Party == b.viewer { // to others the number would tell how much it is told of
			e.Cause = fmt.Sprintf("event %d in your feed", r.Seq)
		}
		b.add(e)
	}
	return nil
}

func (b *timeline) notifications() error {
	var rows []models.Notification
	if err := b.page(b.of("party"), "at", "id").Find(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		e := models.TimelineEntry{At: r.At, Kind: models.TimelineNotification, What: "Notified", Recipient: r.Party, Cause: b.written(r.Channel)}
		if r.Failed != "" {
			e.What, e.Cause = "NotificationFailed", b.written(r.Channel+": "+r.Failed)
		}
		b.add(e)
	}
	return nil
}

func (b *timeline) accesses() error {
	var rows []models.ContentAccess
	if err := b.page(b.of("party"), "started", "id").Find(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		e := models.TimelineEntry{At: r.Started, Kind: models.TimelineAccess, What: "DownloadBegan", Actor: r.Party, Recipient: r.Party}
		switch e.Cause = fmt.Sprintf("%d bytes from %d were asked for", r.Length, r.FirstByte); {
		case r.Complete:
			e.Cause += ", and all were sent"
		case r.Ended != nil:
			e.Cause += fmt.Sprintf(", and %d were sent", r.BytesSent)
		}
		b.add(b.by(e, r.Actor))
	}
	return nil
}

func (b *timeline) statements() error {
	var rows []models.Statement
	q := b.of("party", b.t.Sender)
	if b.view == models.TimelineOfRecipient { // of the sender's, that it took the transfer back
		q = q.Where("(party = ? AND NOT as_sender OR kind = ?)", b.viewer, models.StatementCancellation)
	}
	if err := b.page(q, "at", "id").Find(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		e := models.TimelineEntry{At: r.At, Kind: models.TimelineStatement, What: string(r.Kind), Actor: r.Party, Cause: r.Status}
		if !r.AsSender {
			e.Recipient = r.Party
		}
		if text := b.written(r.Text); text != "" {
			e.Cause = fmt.Sprintf("%s %s", r.Status, text)
		}
		b.add(b.by(e, &r.Actor))
	}
	return nil
}

func (b *timeline) receipts() error {
	var rows []models.SignedReceipt
	if err := b.page(b.of("recipient"), "at", "seq").Find(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		said, err := models.ReadReceipt(r.JWS)
		if err != nil {
			return err
		}
		e := models.TimelineEntry{At: r.At, Kind: models.TimelineReceipt, What: said.Event.Name(), Recipient: r.Recipient, Cause: fmt.Sprintf("receipt %d, SHA-256 %s", r.Seq, r.Hash)}
		b.add(e)
	}
	return nil
}
