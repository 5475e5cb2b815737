package reads

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/transfers"
)

// TransferFor returns a transfer as one party sees it, with that party's own recipient row if it has
// one, without history. models.ErrTransferNotFound for an unknown id and for who is no party alike.
func (s *Reads) TransferFor(ctx context.Context, id uuid.UUID, viewer models.Party) (models.TransferView, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	v, err := s.view(ctx, id, viewer, func(g *gorm.DB) *gorm.DB { return g.Where("party = ?", viewer) })
	return v, db.Unavailable("read transfer", err)
}

// TransferDetails returns a transfer with its history and every recipient that the viewer may see: the
// sender sees all, a recipient itself, and the others when the service says so (docs/altinn-compatibility.md).
func (s *Reads) TransferDetails(ctx context.Context, id uuid.UUID, viewer models.Party) (models.TransferView, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	v, err := s.view(ctx, id, viewer, func(g *gorm.DB) *gorm.DB {
		return g.Where(`party = ? OR EXISTS (SELECT 1 FROM transfers t JOIN resources s ON s.id = t.resource_id
			WHERE t.id = recipients.transfer_id AND (t.sender = ? OR s.recipients_see_each_other))`, viewer, viewer)
	})
	if err == nil {
		err = accessedBytes(s.db.Read(ctx), id, v.Recipients)
	}
	if err != nil {
		return v, db.Unavailable("read transfer", err)
	}
	err = s.db.Read(ctx).Order("seq").Find(&v.History, "transfer_id = ?", id).Error
	if err == nil {
		v.History = withFacts(v)
	}
	return v, db.Unavailable("read history", err)
}

// withFacts continues the history with what only the facts tell so far.
func withFacts(v models.TransferView) []models.StatusChange {
	add := func(status models.TransferStatus, at *time.Time) {
		if at != nil {
			if n := len(v.History); n > 0 { // replicas' clocks differ
				later := db.Later(*at, v.History[n-1].At)
				at = &later
			}
			v.History = append(v.History, models.StatusChange{TransferID: v.ID, Seq: len(v.History) + 1, Status: status, At: *at})
		}
	}
	add(models.TransferUploadStarted, v.UploadStarted)
	add(models.TransferUploadProcessing, v.Staged)
	return v.History
}

func (s *Reads) view(ctx context.Context, id uuid.UUID, viewer models.Party, scope func(*gorm.DB) *gorm.DB) (models.TransferView, error) {
	var v models.TransferView
	g := s.db.Read(ctx)
	err := g.Take(&v.Transfer, "id = ?", id).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return v, models.ErrTransferNotFound
	} else if err != nil {
		return v, err
	}
	if v.Recipients, err = recipientsOf(g, id, scope); err != nil {
		return v, err
	}
	if !v.VisibleTo(viewer) {
		return models.TransferView{}, models.ErrTransferNotFound
	}
	f := models.Facts{}
	if v.Status == models.TransferInitialized {
		if f, err = transfers.FactsOf(g, id); err != nil {
			return v, err
		}
	}
	v.EffectiveStatus, v.EffectiveSince = f.Effective(v.Status, v.StatusChanged)
	v.UploadStarted, v.Staged = f.UploadStarted, f.Staged
	if v.Staged == nil {
		v.Staged = f.Received
	}
	return v, nil
}

func recipientsOf(g *gorm.DB, id uuid.UUID, scope func(*gorm.DB) *gorm.DB) ([]models.RecipientView, error) {
	var rows []models.Recipient
	if err := scope(g.Where("transfer_id = ?", id)).Order("ordinal").Find(&rows).Error; err != nil {
		return nil, err
	}
	first, err := firstAccesses(g, id, rows)
	if err != nil {
		return nil, err
	}
	views := make([]models.RecipientView, len(rows))
	for i, r := range rows {
		views[i].Recipient = r
		if at, ok := first[r.Party]; ok {
			views[i].FirstAccess = &at
		}
	}
	return views, nil
}

// firstAccesses tells when each of these recipients began its first download. One that asks for itself, as each
// does at every step, does not read what thousands of others did.
func firstAccesses(g *gorm.DB, id uuid.UUID, of []models.Recipient) (map[models.Party]time.Time, error) {
	if len(of) == 0 {
		return nil, nil
	}
	query := `SELECT party, started FROM content_accesses a WHERE transfer_id = ?
		AND NOT EXISTS (SELECT 1 FROM content_accesses b WHERE b.transfer_id = a.transfer_id AND b.party = a.party
			AND (b.started < a.started OR (b.started = a.started AND b.id < a.id)))`
	args := []any{id}
	if len(of) == 1 {
		query, args = query+" AND party = ?", append(args, of[0].Party)
	}
	var accesses []models.ContentAccess
	if err := g.Raw(query, args...).Scan(&accesses).Error; err != nil {
		return nil, err
	}
	first := make(map[models.Party]time.Time, len(accesses))
	for _, a := range accesses {
		first[a.Party] = a.Started
	}
	return first, nil
}

// accessedBytes tells how much of a file these recipients were served.
func accessedBytes(g *gorm.DB, id uuid.UUID, of []models.RecipientView) error {
	if len(of) == 0 {
		return nil
	}
	g = g.Select("party", "bytes", "complete").Where("transfer_id = ?", id)
	if len(of) == 1 { // one that asks for itself does not read what thousands of others were served
		g = g.Where("party = ?", of[0].Party)
	}
	var rows []models.ServedContent
	if err := g.Find(&rows).Error; err != nil {
		return err
	}
	by := make(map[models.Party]models.ServedContent, len(rows))
	for _, r := range rows {
		by[r.Party] = r
	}
	for i := range of {
		of[i].BytesServed, of[i].Complete = by[of[i].Party].Bytes, by[of[i].Party].Complete
	}
	return nil
}
