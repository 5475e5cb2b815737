package api

import (
	"context"
	"errors"

	"github.com/formidling/formidling/models"
)

// CollectTus gives up uploads that expired, with their bytes, and publishes those that were complete when their process
// ended. Safe to run in every replica.
func (s *Server) CollectTus(ctx context.Context) error {
	const batch = 100
	expired, unfinished, err := s.Resumables.StaleTus(ctx, batch)
	errs := []error{err}
	for _, u := range expired {
		err := s.Resumables.RejectTus(ctx, u.ID)
		if err == nil {
			s.dropTus(ctx, models.TusUpload{ID: u.ID, TransferID: u.TransferID})
		}
		errs = append(errs, err)
	}
	for _, u := range unfinished {
		f := s.tusFinishing.begin(u.ID, func() error { return s.publishTus(ctx, u, u.OpenedBy) })
		<-f.done
		errs = append(errs, f.err)
	}
	return errors.Join(errs...)
}
