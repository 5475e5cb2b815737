package reads

import (
	"encoding/json"

	"github.com/formidling/formidling/models"
)

// by names whose credential did what an entry tells, as far as the viewer may see it: the sender of everything, as its
// receipts tell it; a recipient of its own doing; the service owner which supplier acted, and no credential.
func (b *timeline) by(e models.TimelineEntry, actor *models.ReceiptActor) models.TimelineEntry {
	switch {
	case actor == nil, e.Actor == "":
	case b.view == models.TimelineOfOwner:
		e.Supplier = actor.Supplier
	case b.view == models.TimelineOfSender, e.Recipient == b.viewer:
		e.Supplier, e.Login, e.Thumbprint = actor.Supplier, actor.Login, actor.Thumbprint
	}
	return e
}

// initialized is whose credential initialized the transfer; nil from before there were receipts.
func (b *timeline) initialized() (*models.ReceiptActor, error) {
	var first []models.ReceiptEntry
	// with a source are receipts of earlier refusals
	if err := b.db.Order("seq").Limit(1).Find(&first, "transfer_id = ? AND source = ''", b.t.ID).Error; err != nil || len(first) == 0 {
		return nil, err
	}
	var said models.Receipt
	if err := json.Unmarshal([]byte(first[0].Entry), &said); err != nil || said.Event != models.ReceiptAuthorized {
		return nil, err
	}
	return said.Actor, nil
}

// began is whose credential began the first upload; nil: it is not known.
func (b *timeline) began() (*models.ReceiptActor, error) {
	var first []models.UploadAttempt
	err := b.db.Order("started").Limit(1).Find(&first, "transfer_id = ?", b.t.ID).Error
	if err != nil || len(first) == 0 {
		return nil, err
	}
	return first[0].Actor, nil
}

// said are whose credentials were behind statements of a kind that receipts tell of, by party; of several the last.
func (b *timeline) said(kind models.StatementKind, parties ...models.Party) (map[models.Party]*models.ReceiptActor, error) {
	var rows []models.Statement
	err := b.db.Order("at, id").Find(&rows, "transfer_id = ? AND kind = ? AND party IN ? AND receipt_seq IS NOT NULL", b.t.ID, kind, parties).Error
	out := make(map[models.Party]*models.ReceiptActor, len(rows))
	for i := range rows {
		out[rows[i].Party] = &rows[i].Actor
	}
	return out, err
}

// actorsOf are whose credentials were behind some of a transfer's statuses.
func (b *timeline) actorsOf(rows []models.StatusChange) (map[models.TransferStatus]*models.ReceiptActor, error) {
	out := map[models.TransferStatus]*models.ReceiptActor{}
	for _, r := range rows {
		var err error
		switch r.Status {
		case models.TransferInitialized:
			out[r.Status], err = b.initialized()
		case models.TransferUploadStarted:
			out[r.Status], err = b.began()
		case models.TransferCancelled:
			var by map[models.Party]*models.ReceiptActor
			by, err = b.said(models.StatementCancellation, b.t.Sender)
			out[r.Status] = by[b.t.Sender]
		default:
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
