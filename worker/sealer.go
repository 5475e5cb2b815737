package worker

import (
	"context"
	"log/slog"
	"time"
)

// sealPatience bounds one question of a sealer to Temporal.
const sealPatience = 10 * time.Second

// LogDue says whether there is something to do for the log of receipts.
type LogDue interface {
	LogDue(ctx context.Context, signs bool) (bool, error)
}

// LogSchedule is the schedule that seals the log.
type LogSchedule interface {
	KeepReceiptLog(ctx context.Context) error
	SealReceiptLog(ctx context.Context) error
}

// Sealer triggers the schedule that seals the log of receipts, at every interval in which there is something to seal.
// Every worker has one: of triggers at the same time the schedule runs one, and who looks afterwards finds nothing to do.
// So an installation in which nothing happens runs no workflow for its log.
type Sealer struct {
	Due      LogDue
	Signs    bool // there are keys
	Schedule LogSchedule
	Every    time.Duration
	Log      *slog.Logger
}

// Run makes the schedule and triggers it until ctx ends. What fails is tried again at the next interval.
func (s Sealer) Run(ctx context.Context) {
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for kept := false; ; {
		if err := s.once(ctx, &kept); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "log of receipts not sealed; trying again", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s Sealer) once(ctx context.Context, kept *bool) error {
	ctx, cancel := context.WithTimeout(ctx, sealPatience)
	defer cancel()
	if !*kept {
		if err := s.Schedule.KeepReceiptLog(ctx); err != nil {
			return err
		}
		*kept = true
	}
	due, err := s.Due.LogDue(ctx, s.Signs)
	if err != nil || !due {
		return err
	}
	return s.Schedule.SealReceiptLog(ctx)
}
