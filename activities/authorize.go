package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/formidling/formidling/models"
)

// AuthorizeInput is the request of the sender.
type AuthorizeInput struct{ Submission models.Submission }

// AuthorizeResult is the policy under which the transfer was accepted.
type AuthorizeResult struct{ Acceptance models.Acceptance }

// Authorize checks the rights of all parties and inserts the transfer, or refuses it.
// Safe to repeat: the same workflow run is given the acceptance that it was given before.
func (a *Activities) Authorize(ctx context.Context, in AuthorizeInput) (AuthorizeResult, error) {
	runID := activity.GetInfo(ctx).WorkflowExecution.RunID
	accepted, err := a.transfers.AcceptTransfer(ctx, in.Submission, runID, a.uploadWindow)
	return AuthorizeResult{accepted}, Refusal(err)
}
