package workflows

import (
	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// awaitConfirmations waits until every recipient has confirmed, or the transfer expires.
func (t *transfer) awaitConfirmations(ctx workflow.Context) error {
	if t.state.Status != models.TransferPublished {
		return nil
	}
	err := t.remindUntil(ctx, func() bool {
		return t.all || t.state.Status.Ended() || t.tooLong(ctx)
	})
	switch {
	case err != nil:
		return err
	case t.all:
		return t.enter(ctx, models.TransferAllConfirmedDownloaded, "")
	case t.tooLong(ctx) && !t.state.Status.Ended() && workflow.Now(ctx).Before(t.state.Terms.Expires):
		return errContinue
	}
	return nil
}

// tooLong tells that the rest of this life should be written into a fresh history.
func (t *transfer) tooLong(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

// mayConfirm refuses before the file is published and after it has gone.
func (t *transfer) mayConfirm(Confirm) error {
	return activities.Refusal(models.MayConfirm(t.state.Status, true)) // whether it downloaded, the store knows
}

// confirm records that a recipient has the file.
func (t *transfer) confirm(ctx workflow.Context, m Confirm) error {
	all, err := recordConfirmation(ctx, t.sub.ID, m.Party)
	if err != nil {
		return err
	}
	t.confirmed[m.Party] = true
	t.all = t.all || all
	t.describe(ctx)
	return nil
}

func recordConfirmation(ctx workflow.Context, transfer uuid.UUID, party models.Party) (all bool, err error) {
	var out activities.RecordConfirmationResult
	in := activities.RecordConfirmationInput{Transfer: transfer, Party: party}
	err = do(ctx, "record confirmation of "+string(party), a.RecordConfirmation, in, &out)
	return out.All, err
}
