package workflows_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/receipts"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/workflows"
)

// receipted is the activities as they run in production: every step signs its receipts.
func receipted(t *testing.T, s *store.Store, files objects.Store) *activities.Activities {
	t.Helper()
	keys, err := receipts.MakeKeys(filepath.Join(t.TempDir(), "keys.json"))
	require.NoError(t, err)
	issuer := &receipts.Issuer{Chains: s, Keys: keys, Name: "https://broker.example.no", Log: slog.New(slog.DiscardHandler)}
	log := &receipts.Log{Leaves: s, Tiles: files, Keys: keys, Name: issuer.Name}
	return activities.WithReceipts(activities.New(s, s, files, time.Hour), issuer, log)
}

// eventsOf names the receipts of a chain that is linked without gaps.
func (r *real) eventsOf(t *testing.T, s models.Submission) []string {
	t.Helper()
	_, rows, err := r.ReceiptsOf(t.Context(), s.ID, alice, 0, 10_000)
	require.NoError(t, err)
	prev := ""
	var out []string
	for i, row := range rows {
		said, err := models.ReadReceipt(row.JWS)
		require.NoError(t, err)
		require.Equal(t, i+1, said.Seq)
		require.Equal(t, prev, said.Prev)
		prev = row.Hash
		out = append(out, said.Event.Name())
	}
	return out
}

func TestReceipts_AreIssuedByTheStepsOfTheTransferItself(t *testing.T) {
	r := setupReal(t, client.Options{})
	s := r.publish(t, bob)
	require.Equal(t, []string{"TransferAuthorization", "SubmissionAcceptance", "ContentConsignment"}, r.eventsOf(t, s), "signed when the sender has its answer")
	require.NoError(t, r.confirm(t, s, bob))
	_, h := r.ended(t, workflows.TransferID(s.ID))
	require.LessOrEqual(t, len(h.Events), 27)
	require.Equal(t, []string{"TransferAuthorization", "SubmissionAcceptance", "ContentConsignment", "ContentAccessTracking", "ContentPurge"}, r.eventsOf(t, s))

	cancelled := r.publish(t, bob)
	require.NoError(t, r.door.Cancel(t.Context(), cancelled.ID))
	require.Contains(t, r.eventsOf(t, cancelled), "TransferCancellation")

	refused := r.submission(t, bob)
	require.NoError(t, r.DeleteGrant(t.Context(), models.Caller{Party: owner}, svc, bob, models.Condition{Unconditional: true}))
	_, err := r.door.Initialize(t.Context(), refused)
	require.ErrorIs(t, err, models.ErrRecipientWithoutRight)
	require.Equal(t, []string{"SubmissionRejection"}, r.eventsOf(t, refused))
}

func TestReceipts_OfManyRecipientsAreOneChain(t *testing.T) {
	r := setupReal(t, client.Options{})
	many := parties('7', 250)
	s := r.publish(t, many...)
	require.Len(t, r.eventsOf(t, s), 2+250)
	for _, p := range many[:5] {
		require.NoError(t, r.confirm(t, s, p))
	}
	require.Len(t, r.eventsOf(t, s), 2+250+5)
	require.NoError(t, r.PurgeTransfer(t.Context(), s.ID))
}

func TestReceiptLog_IsTheHeirOfWhatNobodyActsOn(t *testing.T) {
	r := setupReal(t, client.Options{})
	for range 3 { // as every worker does
		require.NoError(t, r.door.KeepReceiptLog(t.Context(), 50*time.Millisecond))
	}
	s := r.publish(t, bob)
	require.NoError(t, r.confirm(t, s, bob))
	r.ended(t, workflows.TransferID(s.ID))
	st := models.Statement{TransferID: s.ID, Party: bob, Kind: models.StatementAcknowledgement, Text: "afterwards"}
	require.NoError(t, r.State(t.Context(), st))
	require.Eventually(t, func() bool {
		names := r.eventsOf(t, s)
		return names[len(names)-1] == "BusinessAcknowledgement"
	}, 20*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		c, err := r.LatestCheckpoint(t.Context())
		return err == nil && c.Size >= 7 // six receipts and the head of the audit
	}, 20*time.Second, 20*time.Millisecond)
	require.NoError(t, r.VerifyLog(t.Context()))
	require.NoError(t, r.temporal.TerminateWorkflow(t.Context(), workflows.ReceiptLogID, "", "the test is over"))
}

func TestReceiptLog_GoesOnInAFreshHistoryForEver(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	seals := &counting{}
	env.RegisterActivity(activities.WithReceipts(activities.New(nil, nil, nil, 0), seals, seals))
	env.ExecuteWorkflow(workflows.ReceiptLog, workflows.ReceiptLogInput{Every: time.Second})
	require.True(t, env.IsWorkflowCompleted())
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	require.Equal(t, 500, seals.settled)
	require.Equal(t, 500, seals.sealed)
	var in workflows.ReceiptLogInput
	require.NoError(t, json.Unmarshal(next.Input.Payloads[0].Data, &in))
	require.Equal(t, time.Second, in.Every)
}

// counting stands for receipts and their log.
type counting struct {
	activities.Receipts
	settled, sealed int
}

func (c *counting) Settle(context.Context, time.Duration) error  { c.settled++; return nil }
func (c *counting) SealFor(context.Context, time.Duration) error { c.sealed++; return nil }
