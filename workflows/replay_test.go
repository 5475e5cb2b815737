package workflows_test

import (
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdklog "go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/worker"
	"github.com/formidling/formidling/workflows"
)

var record = flag.Bool("record", false, "record the histories of the version in testdata/VERSION from the code as it is")

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// histories are the recorded ones, of every version.
func histories(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*[0-9].[0-9]*/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// TestHistories_AreReplayedByTheCodeAsItIs guards lives under way against changes of the code. `make replay-record` records
// the histories of the version in the making.
func TestHistories_AreReplayedByTheCodeAsItIs(t *testing.T) {
	if *record {
		recordHistories(t)
	}
	for _, file := range histories(t) {
		t.Run(file, func(t *testing.T) {
			r := sdkworker.NewWorkflowReplayer()
			worker.RegisterWorkflows(r)
			require.NoError(t, r.ReplayWorkflowHistoryFromJSONFile(sdklog.NewStructuredLogger(quietLog()), file))
		})
	}
}

// TestNames_AreGolden: what stands in recorded histories must not be renamed. A new name is added by hand.
func TestNames_AreGolden(t *testing.T) {
	t.Parallel()
	names := []string{
		"queue " + workflows.QueueTransfers, "queue " + workflows.QueueBytes,
		"update " + workflows.UpdateAuthorize, "update " + workflows.UpdateContentReceived,
		"update " + workflows.UpdateConfirm, "update " + workflows.UpdateCancel,
		"signal " + workflows.SignalContentReceived, "signal " + workflows.SignalGroupDelivered,
		"signal " + workflows.SignalAllConfirmed, "signal " + workflows.SignalTransferEnded,
		"query " + workflows.QueryState, "workflow Transfer", "workflow DeliveryGroup", "workflow SealReceipts",
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
	want, err := os.ReadFile("testdata/names.golden")
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
