package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
)

// How long a caller waits for a workflow's answer before it must come back later.
const (
	answerWait  = 8 * time.Second
	contentWait = 10 * time.Second // then the message is left as a signal
	probeWait   = 2 * time.Second
)

// Client is the typed door to the workflows. Errors are models.Errors: a refusal as the workflow gave
// it, models.ErrUnavailable when Temporal or its workers do not answer in time.
type Client struct{ temporal client.Client }

// NewClient opens the door over a connection to Temporal.
func NewClient(c client.Client) *Client { return &Client{temporal: c} }

// Ready tells whether Temporal answers.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	_, err := c.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return answer("check temporal", err, models.ErrUnavailable)
}

// Initialize starts the transfer's workflow and returns when it was accepted. A submission with the same
// ID is the same transfer; models.ErrKeyReused when its content differs. duplicate tells that it was
// accepted long ago, and only the store can tell whether its content differs.
func (c *Client) Initialize(ctx context.Context, s models.Submission) (duplicate bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	start := c.temporal.NewWithStartWorkflowOperation(client.StartWorkflowOptions{
		ID:                       TransferID(s.ID),
		TaskQueue:                QueueTransfers,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, // a refused one may be tried again
		TypedSearchAttributes:    transferAttributes(s),
		StaticSummary:            summary(s),
		Priority:                 temporal.Priority{FairnessKey: string(s.Sender.Party)},
	}, Transfer, TransferInput{Submission: s})
	handle, err := c.temporal.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions: client.UpdateWorkflowOptions{
			WorkflowID: TransferID(s.ID), UpdateName: UpdateAuthorize,
			Args: []any{Authorized{RequestHash: s.RequestHash, EarlierHash: s.EarlierHash}}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	var out AuthorizedResult
	if err == nil {
		err = handle.Get(ctx, &out)
	}
	return out.Duplicate, answer("initialize transfer", err, models.ErrUnavailable)
}

// ContentReceived offers staged content and returns the status that the transfer then has. When no worker
// answers, the message is left with Temporal and the status is TransferUploadProcessing.
func (c *Client) ContentReceived(ctx context.Context, transfer, attempt uuid.UUID) (models.TransferStatus, error) {
	message := ContentReceived{Attempt: attempt}
	var out ContentReceivedResult
	err := c.update(ctx, contentWait, TransferID(transfer), UpdateContentReceived, attempt.String(), message, &out)
	if err != nil && isSilence(err) {
		ctx, cancel := context.WithTimeout(ctx, probeWait)
		defer cancel()
		if left := c.temporal.SignalWorkflow(ctx, TransferID(transfer), "", SignalContentReceived, message); left == nil {
			return models.TransferUploadProcessing, nil
		}
	}
	return out.Status, answer("offer content", err, models.ErrAlreadyUploaded)
}

// Confirm says that a recipient, a member of the given delivery group (0: none), has the file.
func (c *Client) Confirm(ctx context.Context, transfer uuid.UUID, group int, party models.Party) error {
	id := TransferID(transfer)
	if group > 0 {
		id = GroupID(transfer, group)
	}
	err := c.update(ctx, answerWait, id, UpdateConfirm, UpdateConfirm+"/"+string(party), Confirm{Party: party}, nil)
	return answer("confirm", err, models.ErrNotPublished)
}

// Cancel takes the transfer back.
func (c *Client) Cancel(ctx context.Context, transfer uuid.UUID) error {
	err := c.update(ctx, answerWait, TransferID(transfer), UpdateCancel, UpdateCancel, Cancel{}, nil)
	return answer("cancel", err, models.ErrNotCancellable)
}

// update sends a message and waits for its result. The same update ID gives the same result again.
func (c *Client) update(ctx context.Context, wait time.Duration, workflowID, name, updateID string, message, out any) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	handle, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateID: updateID, UpdateName: name, Args: []any{message},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	return handle.Get(ctx, out)
}

// answer makes an error of Temporal one of ours. gone is what it means that the workflow has ended.
func answer(what string, err error, gone *models.Error) error {
	if err == nil {
		return nil
	}
	var notFound *serviceerror.NotFound
	switch e, refused := models.AsError(activities.FromTemporal(err)); {
	case refused:
		return e
	case errors.As(err, &notFound):
		return fmt.Errorf("%s: %w: %w", what, gone, err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, models.ErrUnavailable, err)
}

// isSilence tells that nobody answered, though Temporal may be there.
func isSilence(err error) bool {
	var timedOut *client.WorkflowUpdateServiceTimeoutOrCanceledError
	var late *serviceerror.DeadlineExceeded
	return errors.As(err, &timedOut) || errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)
}
