package workflows

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// TransferInput starts a transfer, or continues one in a fresh history.
type TransferInput struct {
	Submission models.Submission // when continued: only its ID and parties
	Continued  *TransferState
}

// TransferState is all that a transfer must remember once its file is published.
type TransferState struct {
	Status    models.TransferStatus
	Terms     models.Acceptance
	Attempt   uuid.UUID // whose content was accepted
	Size      int64     // bytes
	Confirmed []models.Party
	All       bool      // every recipient has confirmed, which Status may not tell yet
	Since     time.Time // when it entered Status
	Reminded  time.Time // the moment of the last reminder that was due
}

// TransferResult says how a transfer ended.
type TransferResult struct {
	Status string
	Text   string // why it failed or was refused
}

// Transfer is the whole life of one file transfer, from authorization to purge. Its workflow ID is
// TransferID(in.Submission.ID), so that a second start of the same transfer finds the first one.
func Transfer(ctx workflow.Context, in TransferInput) (TransferResult, error) {
	t := newTransfer(in)
	ctx = t.acceptOperatorCancellation(ctx)
	if err := t.listen(ctx); err != nil {
		return t.result(), err
	}
	err := t.live(ctx)
	return t.result(), t.drain(ctx, err)
}

// live takes the transfer through its life. A step that finds the transfer ended leaves it so.
func (t *transfer) live(ctx workflow.Context) error {
	steps := []func(workflow.Context) error{
		t.authorize,
		t.awaitContent, // verified and delivered when it returns
		t.awaitConfirmations,
		t.awaitGrace,
		t.purge,
	}
	for _, step := range steps {
		if t.refusal != nil {
			return nil
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// transfer is the state of a running Transfer workflow.
type transfer struct {
	sub      models.Submission
	state    TransferState
	deadline deadlineTimer

	decided bool  // authorize has come to an end
	refusal error // why there is no transfer to live
	text    string

	offers      []uuid.UUID           // attempts that wait for a verdict
	verdicts    map[uuid.UUID]error   // nil: its content was accepted
	confirmed   map[models.Party]bool // of recipients that no group looks after
	delivered   map[int]bool          // groups that have the file, or found the transfer ended
	forestalled bool                  // a group found the transfer ended
	all         bool                  // every recipient has confirmed
}

func newTransfer(in TransferInput) *transfer {
	t := &transfer{
		sub: in.Submission, verdicts: map[uuid.UUID]error{},
		confirmed: map[models.Party]bool{}, delivered: map[int]bool{},
	}
	if in.Continued != nil {
		t.state, t.decided = *in.Continued, true
		t.verdicts[t.state.Attempt] = nil
		for _, p := range t.state.Confirmed {
			t.confirmed[p] = true
		}
		t.all = t.state.All
	}
	return t
}

// listen answers updates, signals and the state query for as long as the transfer lives.
func (t *transfer) listen(ctx workflow.Context) error {
	state := func() (TransferResult, error) { return t.result(), nil }
	if err := workflow.SetQueryHandler(ctx, QueryState, state); err != nil {
		return err
	}
	for _, h := range []struct {
		name      string
		handler   any
		validator any
		what      string
	}{
		{UpdateAuthorize, t.authorized, t.mayAuthorize, "tells whether the transfer was accepted"},
		{UpdateContentReceived, t.contentReceived, t.mayReceiveContent, "offers the durable bytes of an upload"},
		{UpdateConfirm, t.confirm, t.mayConfirm, "a recipient has the file"},
		{UpdateCancel, t.cancel, t.mayCancel, "the sender takes the transfer back"},
	} {
		o := workflow.UpdateHandlerOptions{Validator: h.validator, Description: h.what}
		if err := workflow.SetUpdateHandlerWithOptions(ctx, h.name, h.handler, o); err != nil {
			return err
		}
	}
	t.receiveSignals(ctx)
	return nil
}

// receiveSignals takes in the signals, which need no answer.
func (t *transfer) receiveSignals(ctx workflow.Context) {
	forever(ctx, SignalContentReceived, func(m ContentReceived) { t.offer(m.Attempt) })
	forever(ctx, SignalGroupDelivered, func(m GroupMessage) {
		t.delivered[m.Group] = true
		t.forestalled = t.forestalled || m.Refused
	})
	forever(ctx, SignalAllConfirmed, func(GroupMessage) { t.all = true })
}

// enter notes a status that an activity has recorded, and shows it to operators.
func (t *transfer) enter(ctx workflow.Context, status models.TransferStatus, text string) error {
	t.state.Status, t.state.Since, t.text = status, workflow.Now(ctx), text
	return t.show(ctx)
}

// drain lets every update handler finish before the workflow does.
func (t *transfer) drain(ctx workflow.Context, err error) error {
	if wait := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); wait != nil {
		return wait
	}
	if errors.Is(err, errContinue) {
		return workflow.NewContinueAsNewError(ctx, Transfer, t.continued())
	}
	return err
}

func (t *transfer) continued() TransferInput {
	s := t.state
	s.All = t.all
	for _, r := range t.sub.Recipients {
		if t.confirmed[r.Party] {
			s.Confirmed = append(s.Confirmed, r.Party)
		}
	}
	return TransferInput{
		Submission: models.Submission{ID: t.sub.ID, ResourceID: t.sub.ResourceID, Sender: t.sub.Sender, Recipients: t.sub.Recipients, RequestHash: t.sub.RequestHash},
		Continued:  &s,
	}
}

func (t *transfer) result() TransferResult {
	if t.refusal != nil {
		return TransferResult{Status: statusRefused, Text: t.refusal.Error()}
	}
	return TransferResult{Status: t.state.Status.String(), Text: t.text}
}

// a names the activities; its methods are never called here.
var a *activities.Activities
