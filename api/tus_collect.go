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
		s.tusFinishing.begin(u.ID, func() error { // hashing may take minutes, and others wait to be collected
			err := s.publishTus(context.WithoutCancel(ctx), u, u.OpenedBy)
			if err != nil {
				s.Log.WarnContext(ctx, "complete upload not published yet", "upload", u.ID, "error", err.Error())
			}
			return err
		})
	}
	return errors.Join(errs...)
}
