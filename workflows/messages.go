package workflows

import (
	"fmt"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/models"
)

// The task queues. Workflows and short activities share one, so that a worker can hand its own
// activities to itself; what moves or deletes many bytes waits in the other.
const (
	QueueTransfers = "transfers"
	QueueBytes     = "bytes"
)

// What can be asked of a workflow. The names are part of every recorded history and must not change.
const (
	UpdateAuthorize       = "authorize"
	UpdateContentReceived = "content-received"
	UpdateConfirm         = "confirm"
	UpdateCancel          = "cancel"
	SignalContentReceived = "content-received"
	SignalGroupDelivered  = "group-delivered"
	SignalAllConfirmed    = "all-confirmed"
	SignalTransferEnded   = "transfer-ended"
	QueryState            = "state"
)

// Authorized asks what became of a submission; the hashes tell whether it was the same one.
type Authorized struct {
	RequestHash string
	EarlierHash string `json:",omitempty"` // what a workflow knows that was started before an upgrade
}

// AuthorizedResult is the answer when it was accepted.
type AuthorizedResult struct{ Duplicate bool }

// ContentReceived offers the durable bytes of an upload attempt.
type ContentReceived struct{ Attempt uuid.UUID }

// ContentReceivedResult is the transfer's status after the content was accepted.
type ContentReceivedResult struct{ Status models.TransferStatus }

// Confirm says that a recipient has the file.
type Confirm struct{ Party models.Party }

// Cancel says that the sender takes the transfer back.
type Cancel struct{}

// GroupMessage is sent between a transfer and its delivery groups.
type GroupMessage struct {
	Group   int
	Refused bool // with SignalGroupDelivered: there was nothing to deliver any more
}

// TransferID is the workflow ID of a transfer.
func TransferID(id uuid.UUID) string { return "transfer/" + id.String() }

// GroupID is the workflow ID of a transfer's n-th delivery group.
func GroupID(id uuid.UUID, n int) string { return fmt.Sprintf("%s/group/%d", TransferID(id), n) }

// ofLife is the context for what an update asks: Temporal gives handlers one that ends when an operator cancels the
// workflow, but a transfer whose cancellation is refused lives on and must answer.
func ofLife(ctx workflow.Context) workflow.Context {
	life, _ := workflow.NewDisconnectedContext(ctx)
	return life
}

// forever hands every signal of a name to a function, in order.
func forever[T any](ctx workflow.Context, signal string, receive func(T)) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		for ch := workflow.GetSignalChannel(ctx, signal); ; {
			var message T
			if !ch.Receive(ctx, &message) {
				return
			}
			receive(message)
		}
	})
}
