package workflows_test

import (
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/worker"
	"github.com/formidling/formidling/workflows"
)

// identities name the machine and process that recorded.
var identities = regexp.MustCompile(`"identity":\s*"[^"]*"`)

var record = flag.Bool("record", false, "write testdata/*.json from the code as it is")

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestHistories_AreReplayedByTheCodeAsItIs guards lives under way against changes of the code. The
// histories are recorded from released code, by `make replay-record`.
func TestHistories_AreReplayedByTheCodeAsItIs(t *testing.T) {
	if *record {
		recordHistories(t)
	}
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r := sdkworker.NewWorkflowReplayer()
			worker.RegisterWorkflows(r)
			require.NoError(t, r.ReplayWorkflowHistoryFromJSONFile(nil, file))
		})
	}
}

func recordHistories(t *testing.T) {
	t.Helper()
	r := setupReal(t, client.Options{})
	write := func(name string, h *historypb.History) {
		raw, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(h)
		require.NoError(t, err)
		raw = identities.ReplaceAll(raw, []byte(`"identity": "worker"`))
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(filepath.Join("testdata", name+".json"), raw, 0o644))
	}
	finish := func(name string, s models.Submission) {
		_, h := r.ended(t, workflows.TransferID(s.ID))
		write(name, h)
	}
	whole := r.publish(t, bob, carol)
	require.NoError(t, r.confirm(t, whole, bob))
	require.NoError(t, r.confirm(t, whole, carol))
	finish("purged", whole)

	cancelled := r.publish(t, bob)
	require.NoError(t, r.door.Cancel(t.Context(), cancelled.ID))
	finish("cancelled", cancelled)

	refused := r.submission(t, bob)
	require.NoError(t, r.DeleteGrant(t.Context(), models.Caller{Party: owner}, svc, bob, models.Condition{Unconditional: true}))
	_, err := r.door.Initialize(t.Context(), refused)
	require.ErrorIs(t, err, models.ErrRecipientWithoutRight)
	finish("refused", refused)

	many := parties('6', 101)
	grouped := r.publish(t, many...)
	for _, p := range many {
		require.NoError(t, r.confirm(t, grouped, p))
	}
	finish("grouped", grouped)
	write("group", r.history(t, workflows.GroupID(grouped.ID, 2)))
	write("subscription", recordSubscription(t, r))
}

// TestNames_AreGolden: what stands in recorded histories must not be renamed.
func TestNames_AreGolden(t *testing.T) {
	t.Parallel()
	names := []string{
		"queue " + workflows.QueueTransfers, "queue " + workflows.QueueBytes,
		"update " + workflows.UpdateAuthorize, "update " + workflows.UpdateContentReceived,
		"update " + workflows.UpdateConfirm, "update " + workflows.UpdateCancel,
		"signal " + workflows.SignalContentReceived, "signal " + workflows.SignalGroupDelivered,
		"signal " + workflows.SignalAllConfirmed, "signal " + workflows.SignalTransferEnded,
		"query " + workflows.QueryState, "workflow Transfer", "workflow DeliveryGroup", "workflow ReceiptLog", "workflow SealReceipts",
		"queue " + workflows.QueueWebhooks, "update " + workflows.UpdateSendTest, "signal " + workflows.SignalWake, "workflow Subscription",
	}
	for name := range workflows.SearchAttributes() {
		names = append(names, "search attribute "+name)
	}
	acts := reflect.TypeFor[*activities.Activities]()
	for i := range acts.NumMethod() {
		names = append(names, "activity "+acts.Method(i).Name)
	}
	hooks := reflect.TypeFor[*activities.Webhooks]()
	for i := range hooks.NumMethod() {
		names = append(names, "activity "+hooks.Method(i).Name)
	}
	sort.Strings(names)
	got := strings.Join(names, "\n") + "\n"
	if *record {
		require.NoError(t, os.WriteFile("testdata/names.golden", []byte(got), 0o644))
	}
	want, err := os.ReadFile("testdata/names.golden")
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
