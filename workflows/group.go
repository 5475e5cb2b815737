package workflows

import (
	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// GroupInput names up to models.GroupSize recipients of a transfer by the number of their group.
type GroupInput struct {
	Transfer, Attempt uuid.UUID
	Group, Size       int
}

// DeliveryGroup serves one group of recipients of a big transfer: it delivers to them and records
// their confirmations, until all have confirmed or the transfer is over.
func DeliveryGroup(ctx workflow.Context, in GroupInput) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx) // only its transfer ends it
	g := &group{in: in, confirmed: map[models.Party]bool{}}
	if err := g.listen(ctx); err != nil {
		return err
	}
	if err := g.live(ctx); err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

type group struct {
	in        GroupInput
	delivered bool
	ended     bool
	confirmed map[models.Party]bool
}

func (g *group) listen(ctx workflow.Context) error {
	forever(ctx, SignalTransferEnded, func(GroupMessage) { g.ended = true })
	o := workflow.UpdateHandlerOptions{Validator: g.mayConfirm, Description: "a recipient has the file"}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateConfirm, g.confirm, o)
}

func (g *group) live(ctx workflow.Context) error {
	in := activities.DeliverInput{Transfer: g.in.Transfer, Attempt: g.in.Attempt, Group: g.in.Group}
	err := do(ctx, "deliver", a.Deliver, in, nil)
	if activities.IsRefusal(err) { // the transfer was cancelled first
		g.ended = true
	} else if err != nil {
		return err
	}
	g.delivered = err == nil
	g.tell(ctx, SignalGroupDelivered)
	return workflow.Await(ctx, func() bool { return g.ended || len(g.confirmed) == g.in.Size })
}

// tell sends the transfer a message; a transfer that has ended needs none.
func (g *group) tell(ctx workflow.Context, signal string) {
	message := GroupMessage{Group: g.in.Group, Refused: !g.delivered}
	if err := workflow.SignalExternalWorkflow(ctx, TransferID(g.in.Transfer), "", signal, message).Get(ctx, nil); err != nil {
		g.ended = true
	}
}

// status is what a group knows of its transfer's: not how it ended, but that it did.
func (g *group) status() models.TransferStatus {
	switch {
	case g.ended:
		return models.TransferPurged
	case g.delivered:
		return models.TransferPublished
	}
	return models.TransferInitialized
}

func (g *group) mayConfirm(Confirm) error {
	return activities.Refusal(models.MayConfirm(g.status(), true)) // whether it downloaded, the store knows
}

func (g *group) confirm(ctx workflow.Context, m Confirm) error {
	all, err := recordConfirmation(ctx, g.in.Transfer, m.Party)
	if err != nil {
		return err
	}
	if all {
		g.tell(ctx, SignalAllConfirmed)
	}
	g.confirmed[m.Party] = true
	return nil
}
