package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/workflows"
)

// suggestedAfter is how long a recorded history may grow before Temporal suggests a fresh one. It is longer than any other
// recorded life until its file is published.
const suggestedAfter = 40

// A recording must not say which machine, process or folder it comes from.
var (
	identities = regexp.MustCompile(`"identity":\s*"[^"]*"`)
	traces     = regexp.MustCompile(`"stackTrace":\s*"[^"]*"`)
)

// versionInTheMaking is the version whose histories are recorded.
func versionInTheMaking(testdata string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(testdata, "VERSION"))
	return strings.TrimSpace(string(raw)), err
}

// mayRecord says why histories must not be recorded into testdata/<version>: the code they come from is in no commit, or
// the version is released, and its histories are what lives under way look like.
func mayRecord(ctx context.Context, testdata, version string) error {
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = testdata
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out)), nil
	}
	if version == "" || version != filepath.Base(version) {
		return fmt.Errorf("record histories: %q is no version", version)
	}
	raw, err := os.ReadFile(filepath.Join(testdata, "RELEASED"))
	if err != nil {
		return fmt.Errorf("record histories: %w", err)
	}
	if slices.Contains(strings.Fields(string(raw)), version) {
		return fmt.Errorf("record histories: testdata/RELEASED lists %s; write the next version into testdata/VERSION", version)
	}
	tag, err := git("tag", "--list", "v"+version)
	if err != nil {
		return fmt.Errorf("record histories: %w", err)
	}
	if tag != "" {
		return fmt.Errorf("record histories: the tag %s says that %s is released; write the next version into testdata/VERSION", tag, version)
	}
	dirty, err := git("status", "--porcelain")
	if err != nil {
		return fmt.Errorf("record histories: %w", err)
	}
	if dirty != "" {
		return errors.New("record histories: commit the code first, so that they come from code that can be found again:\n" + dirty)
	}
	return nil
}

// recordHistories plays every life and replaces the histories of the version in the making.
func recordHistories(t *testing.T) {
	t.Helper()
	version, err := versionInTheMaking("testdata")
	require.NoError(t, err)
	require.NoError(t, mayRecord(t.Context(), "testdata", version))
	s := setupStudio(t)
	for _, l := range slices.Concat(transferLives, groupLives, otherLives) {
		t.Run("record "+l.name, func(t *testing.T) { s.record(t, l) })
	}
	if t.Failed() {
		return
	}
	target := filepath.Join("testdata", version)
	require.NoError(t, os.RemoveAll(target))
	require.NoError(t, os.CopyFS(target, os.DirFS(s.dir)))
}

// studio is a real Temporal, where lives are played with activities that act on worlds of the tests.
type studio struct {
	*real
	dir string
}

func setupStudio(t *testing.T) *studio {
	t.Helper()
	stack, err := testenv.StartDevstack("", "0", "--dynamic-config-value", fmt.Sprintf("limit.historyCount.suggestContinueAsNew=%d", suggestedAfter))
	require.NoError(t, err)
	t.Cleanup(stack.Kill)
	c, err := client.Dial(client.Options{HostPort: stack.Address, Logger: sdklog.NewStructuredLogger(quietLog())})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return &studio{real: &real{temporal: c, door: workflows.NewClient(c)}, dir: t.TempDir()}
}

// life is one life to record. It ends by itself when play has returned.
type life struct {
	name       string
	recipients int
	play       func(*take)
}

// take is a life that is being recorded.
type take struct {
	*world
	*studio
	t       *testing.T
	name    string
	sub     models.Submission
	attempt uuid.UUID
	began   time.Time
}

func (s *studio) record(t *testing.T, l life) {
	t.Helper()
	k := &take{studio: s, t: t, name: l.name, attempt: uuid.New(), began: time.Now()}
	k.world = obliging(k.attempt, l.recipients, func() time.Time { return k.began })
	k.terms(func(a *models.Acceptance) { a.Grace = 200 * time.Millisecond })
	k.sub = models.Submission{
		ID: uuid.New(), ResourceID: svc, Sender: models.Addressee{Party: alice, AsGiven: string(alice)},
		FileName: "name.zip", SendersReference: "reference", RequestHash: "hash", PropertyList: map[string]string{"k": "v"},
	}
	for _, p := range parties('8', l.recipients) {
		k.sub.Recipients = append(k.sub.Recipients, models.Addressee{Party: p, AsGiven: string(p)})
	}
	s.acts, s.hooks = activities.New(k.world, k.world, k.world, time.Hour), nil
	s.work(t)
	defer func() { s.stop() }()
	l.play(k)
}

// terms changes what the transfer is accepted with.
func (k *take) terms(change func(*models.Acceptance)) {
	accept := k.accept
	k.accept = func() (models.Acceptance, error) {
		a, err := accept()
		change(&a)
		return a, err
	}
}

// party is the n-th recipient.
func (k *take) party(n int) models.Party { return k.sub.Recipients[n].Party }

// begin starts the transfer, which is accepted.
func (k *take) begin() {
	k.t.Helper()
	duplicate, err := k.door.Initialize(k.t.Context(), k.sub)
	require.NoError(k.t, err)
	require.False(k.t, duplicate)
}

// published starts the transfer and offers its content.
func (k *take) published() {
	k.t.Helper()
	k.begin()
	status, err := k.door.ContentReceived(k.t.Context(), k.sub.ID, k.attempt)
	require.NoError(k.t, err)
	require.Equal(k.t, models.TransferPublished, status)
}

// signal offers the content of an attempt without waiting for a verdict.
func (k *take) signal(attempt uuid.UUID) {
	k.t.Helper()
	require.NoError(k.t, k.temporal.SignalWorkflow(k.t.Context(), k.id(), "", workflows.SignalContentReceived, workflows.ContentReceived{Attempt: attempt}))
}

func (k *take) confirms(n, group int) error {
	return k.door.Confirm(k.t.Context(), k.sub.ID, group, k.party(n))
}

func (k *take) cancels() error { return k.door.Cancel(k.t.Context(), k.sub.ID) }

func (k *take) id() string { return workflows.TransferID(k.sub.ID) }

// eventually waits for a condition.
func (k *take) eventually(condition func() bool) {
	k.t.Helper()
	require.Eventually(k.t, condition, 20*time.Second, 20*time.Millisecond)
}

// fired waits until a timer of the transfer has fired, whether a worker runs or not.
func (k *take) fired() {
	k.t.Helper()
	k.eventually(func() bool {
		return slices.ContainsFunc(k.history(k.t, k.id()).Events, func(e *historypb.HistoryEvent) bool { return e.EventType == enumspb.EVENT_TYPE_TIMER_FIRED })
	})
}

// ends waits for the end of the transfer, which must be as given, and keeps its history.
func (k *take) ends(status string) {
	k.t.Helper()
	var out workflows.TransferResult
	require.NoError(k.t, k.temporal.GetWorkflow(k.within(), k.id(), "").Get(k.t.Context(), &out))
	require.Equal(k.t, status, out.Status)
	k.keep(k.name, k.id())
}

// breaks waits for the failure of a workflow and keeps its history.
func (k *take) breaks(id string) {
	k.t.Helper()
	require.Error(k.t, k.temporal.GetWorkflow(k.within(), id, "").Get(k.within(), nil))
	k.keep(k.name, id)
}

// within is how long a life may take.
func (k *take) within() context.Context {
	ctx, cancel := context.WithTimeout(k.t.Context(), 30*time.Second)
	k.t.Cleanup(cancel)
	return ctx
}

// keep writes the history of the first run of a workflow, and those of the runs that continued it.
func (k *take) keep(name, id string) {
	k.t.Helper()
	d, err := k.temporal.DescribeWorkflowExecution(k.t.Context(), id, "")
	require.NoError(k.t, err)
	run := d.GetWorkflowExecutionInfo().GetFirstRunId()
	for n := 1; run != ""; n++ {
		h := k.historyOf(k.t, id, run)
		raw, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(h)
		require.NoError(k.t, err)
		raw = identities.ReplaceAll(raw, []byte(`"identity": "worker"`))
		raw = traces.ReplaceAll(raw, []byte(`"stackTrace": ""`))
		file := name
		if n > 1 {
			file = fmt.Sprintf("%s-run-%d", name, n)
		}
		require.NoError(k.t, os.WriteFile(filepath.Join(k.dir, file+".json"), append(raw, '\n'), 0o644))
		run = h.Events[len(h.Events)-1].GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	}
}
