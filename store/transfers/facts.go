package transfers

import (
	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// FactsOf are what the data plane says about a transfer that has no content yet.
func FactsOf(g *gorm.DB, id uuid.UUID) (models.Facts, error) {
	f, err := beginningOf(g, id)
	if err != nil || f.UploadStarted == nil {
		return f, err
	}
	var staged []models.StagedContent
	if err := g.Order("staged").Limit(1).Find(&staged, "transfer_id = ?", id).Error; err != nil {
		return f, err
	}
	if len(staged) > 0 {
		f.Staged = &staged[0].Staged
		return f, nil
	}
	var received []models.TusUpload
	err = g.Limit(1).Find(&received, "transfer_id = ? AND NOT part AND ended IS NULL AND completed IS NOT NULL", id).Error
	if len(received) > 0 {
		f.Received = received[0].Completed
	}
	return f, err
}

// beginningOf are the facts without those about content.
func beginningOf(g *gorm.DB, id uuid.UUID) (f models.Facts, err error) {
	var attempts []models.UploadAttempt
	err = g.Order("started").Limit(1).Find(&attempts, "transfer_id = ?", id).Error
	if len(attempts) > 0 {
		f.UploadStarted = &attempts[0].Started
	}
	return f, err
}
