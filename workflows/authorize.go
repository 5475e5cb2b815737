package workflows

import (
	"errors"

	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// authorize checks the rights of all parties and records the transfer, or the refusal.
func (t *transfer) authorize(ctx workflow.Context) error {
	if t.decided {
		return nil
	}
	var out activities.AuthorizeResult
	err := do(ctx, "authorize", a.Authorize, activities.AuthorizeInput{Submission: t.sub, RunID: workflow.GetInfo(ctx).OriginalRunID}, &out)
	t.decided, t.state.Terms = true, out.Acceptance
	switch {
	case activities.IsRefusal(err):
		t.refusal = activities.FromTemporal(err)
	case err != nil:
		return err
	case out.Acceptance.Duplicate:
		t.refusal = models.ErrAcceptedBefore
	}
	if t.refusal != nil {
		return t.show(ctx)
	}
	t.describe(ctx)
	return nil
}

// mayAuthorize refuses another request under the same idempotency key.
func (t *transfer) mayAuthorize(m Authorized) error {
	if !models.SameRequest(t.sub.RequestHash, m.RequestHash, m.EarlierHash) {
		return activities.Refusal(models.ErrKeyReused)
	}
	return nil
}

// authorized answers the sender once it is decided.
func (t *transfer) authorized(ctx workflow.Context, _ Authorized) (AuthorizedResult, error) {
	if err := workflow.Await(ofLife(ctx), func() bool { return t.decided }); err != nil {
		return AuthorizedResult{}, err
	}
	if errors.Is(t.refusal, models.ErrAcceptedBefore) {
		return AuthorizedResult{Duplicate: true}, nil
	}
	return AuthorizedResult{}, activities.Refusal(t.refusal)
}
