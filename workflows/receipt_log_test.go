package workflows_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/receipts"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/worker"
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
	r.ended(t, workflows.TransferID(cancelled.ID))
	require.Equal(t, []string{
		"TransferAuthorization", "SubmissionAcceptance", "ContentConsignment", "TransferCancellation", "ContentPurge",
	}, r.eventsOf(t, cancelled))

	failed := r.submission(t, bob)
	failed.SHA256 = strings.Repeat("0", 64)
	_, err := r.door.Initialize(t.Context(), failed)
	require.NoError(t, err)
	_, err = r.door.ContentReceived(t.Context(), failed.ID, r.stage(t, failed.ID))
	require.ErrorIs(t, err, models.ErrChecksumMismatch)
	r.ended(t, workflows.TransferID(failed.ID))
	require.Equal(t, []string{"TransferAuthorization", "SubmissionRejection", "ContentPurge"}, r.eventsOf(t, failed))

	early := r.submission(t, bob)
	_, err = r.door.Initialize(t.Context(), early)
	require.NoError(t, err)
	require.NoError(t, r.door.Cancel(t.Context(), early.ID))
	r.ended(t, workflows.TransferID(early.ID))
	require.Equal(t, []string{"TransferAuthorization", "TransferCancellation"}, r.eventsOf(t, early), "there was nothing to delete")

	refused := r.submission(t, bob)
	require.NoError(t, r.DeleteGrant(t.Context(), models.Caller{Party: owner}, svc, bob, models.Condition{Unconditional: true}))
	_, err = r.door.Initialize(t.Context(), refused)
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

// sealed has the schedule seal at every interval, as a worker does, until the test ends.
func (r *real) sealed(t *testing.T, every time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range 2 { // as many as there are workers
		group.Go(func() {
			worker.Sealer{Due: r.Store, Signs: true, Schedule: r.door, Every: every, Log: quietLog()}.Run(ctx)
		})
	}
	t.Cleanup(func() {
		cancel()
		group.Wait()
		_ = r.temporal.ScheduleClient().GetHandle(context.Background(), workflows.ReceiptLogID).Delete(context.Background())
	})
}

func TestReceiptLog_MakesReceiptsOfFactsThatNoWorkflowActsOn(t *testing.T) {
	r := setupReal(t, client.Options{})
	r.sealed(t, 50*time.Millisecond)
	s := r.publish(t, bob)
	require.NoError(t, r.confirm(t, s, bob))
	r.ended(t, workflows.TransferID(s.ID))
	st := models.Statement{TransferID: s.ID, Party: bob, Kind: models.StatementAcknowledgement, Text: "afterwards"}
	require.NoError(t, r.AppendStatement(t.Context(), st))
	require.Eventually(t, func() bool {
		names := r.eventsOf(t, s)
		return names[len(names)-1] == "BusinessAcknowledgement"
	}, 20*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		c, err := r.LatestCheckpoint(t.Context())
		return err == nil && c.Size >= 7 // six receipts and the head of the audit
	}, 20*time.Second, 20*time.Millisecond)
	require.NoError(t, r.VerifyLog(t.Context()))
}

// An installation in which nothing happens has no workflows for its log, and one that began again after a rest is sealed at once.
func TestReceiptLog_RunsWhenThereIsSomethingToSeal(t *testing.T) {
	r := setupReal(t, client.Options{})
	r.sealed(t, 50*time.Millisecond)
	runs := func() int {
		d, err := r.temporal.ScheduleClient().GetHandle(t.Context(), workflows.ReceiptLogID).Describe(t.Context())
		require.NoError(t, err)
		require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, d.Schedule.Policy.Overlap)
		return d.Info.NumActions
	}
	settled := func() bool {
		due, err := r.LogDue(t.Context(), true)
		return err == nil && !due
	}
	r.publish(t, bob)
	require.Eventually(t, settled, 20*time.Second, 20*time.Millisecond)
	idle := runs()
	require.Eventually(t, func() bool { // those that were triggered together have run
		before := idle
		idle = runs()
		return idle == before
	}, 20*time.Second, time.Second)
	require.Never(t, func() bool { return runs() > idle }, 2*time.Second, 500*time.Millisecond)
	r.publish(t, bob)
	began := time.Now()
	require.Eventually(t, settled, 20*time.Second, 10*time.Millisecond)
	t.Logf("covered by a checkpoint after %v", time.Since(began))
}

func TestReceiptLog_IsScheduledAnewWhenSomebodyDeletedTheSchedule(t *testing.T) {
	r := setupReal(t, client.Options{})
	r.sealed(t, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		return r.temporal.ScheduleClient().GetHandle(t.Context(), workflows.ReceiptLogID).Delete(t.Context()) == nil
	}, 20*time.Second, 20*time.Millisecond)
	s := r.publish(t, bob)
	require.Eventually(t, func() bool {
		due, err := r.LogDue(t.Context(), true)
		return err == nil && !due
	}, 20*time.Second, 20*time.Millisecond)
	require.NotEmpty(t, r.eventsOf(t, s))
}

func TestSealReceipts_SealsOnceAndEnds(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	seals := &counting{}
	env.RegisterActivity(activities.WithReceipts(activities.New(nil, nil, nil, 0), seals, seals))
	env.ExecuteWorkflow(workflows.SealReceipts)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, 1, seals.settled)
	require.Equal(t, 1, seals.sealed)
}

// counting stands for receipts and their log.
type counting struct {
	activities.Receipts
	settled, sealed int
	broken          error
}

func (c *counting) Settle(context.Context, time.Duration) error  { c.settled++; return nil }
func (c *counting) SealFor(context.Context, time.Duration) error { c.sealed++; return c.broken }
