package reads

import (
	"context"

	"github.com/formidling/formidling/models"
)

// Sights is what a supplier sees, for tests.
func (s *Reads) Sights(ctx context.Context, by models.Caller) ([]models.Sight, error) {
	return s.sights(ctx, by)
}
