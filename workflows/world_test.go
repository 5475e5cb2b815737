package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/worker"
	"github.com/formidling/formidling/workflows"
)

const (
	alice = models.Party("0192:310000027")
	bob   = models.Party("0192:310000035")
	carol = models.Party("0192:310000043")
)

// world is what the activities of a test act on: it answers as its fields say and writes down what it was asked.
// Activities run beside the test, so all of it is read and written under mu.
type world struct {
	mu    sync.Mutex
	calls []string

	accept  func() (models.Acceptance, error)
	deliver func(group int) error
	confirm func(models.Party) (bool, error)
	cancel  func() error
	purge   func() error
	fail    func() error
	find    func() error
	verify  func() error
	discard func() error
	remind  func() error

	declaredMD5  string
	staged       map[uuid.UUID]models.Content
	firstStaged  *uuid.UUID
	runningUntil time.Time
	storedSize   int64
}

// asked writes down a question and takes the lock until its answer is given.
func (w *world) asked(format string, args ...any) (unlock func()) {
	w.mu.Lock()
	if format != "" {
		w.calls = append(w.calls, fmt.Sprintf(format, args...))
	}
	return w.mu.Unlock
}

// set changes the world while its workflow runs.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// wait gives the world free until a channel is closed. Only an answer that holds it may call this.
func (w *world) wait(until <-chan struct{}) {
	w.mu.Unlock()
	defer w.mu.Lock()
	<-until
}

// made is what the activities were asked so far.
func (w *world) made() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

func (w *world) AcceptTransfer(context.Context, models.Submission, string, time.Duration) (models.Acceptance, error) {
	defer w.asked("accept")()
	return w.accept()
}

func (w *world) DeliverTransfer(_ context.Context, _, _ uuid.UUID, group int) error {
	defer w.asked("deliver %d", group)()
	return w.deliver(group)
}

func (w *world) ConfirmTransfer(_ context.Context, _ uuid.UUID, p models.Party) (bool, error) {
	defer w.asked("confirm %s", p)()
	return w.confirm(p)
}

func (w *world) CancelTransfer(context.Context, uuid.UUID) error {
	defer w.asked("cancel")()
	return w.cancel()
}

func (w *world) FailTransfer(_ context.Context, _ uuid.UUID, text string) error {
	defer w.asked("fail: %s", text)()
	return w.fail()
}

func (w *world) RemindOfTransfer(_ context.Context, _ uuid.UUID, left time.Duration) error {
	defer w.asked("remind %s", left)()
	return w.remind()
}

func (w *world) RecordDiscarded(context.Context, uuid.UUID) error { return nil }

func (w *world) PurgeTransfer(context.Context, uuid.UUID) error {
	defer w.asked("purge")()
	return w.purge()
}

func (w *world) Staged(_ context.Context, t, attempt uuid.UUID) (models.Transfer, models.Content, error) {
	defer w.asked("")()
	if err := w.verify(); err != nil {
		return models.Transfer{}, models.Content{}, err
	}
	c, ok := w.staged[attempt]
	if !ok {
		return models.Transfer{}, c, models.ErrNoFileYet
	}
	return models.Transfer{ID: t, DeclaredMD5: w.declaredMD5, MaxFileSize: 100}, c, nil
}

func (w *world) UploadFacts(context.Context, uuid.UUID) (*uuid.UUID, time.Time, error) {
	defer w.asked("")()
	err := w.find()
	return w.firstStaged, w.runningUntil, err
}

func (w *world) Stat(context.Context, string) (models.StoredObject, error) {
	defer w.asked("")()
	return models.StoredObject{Size: w.storedSize}, nil
}

func (w *world) DeleteAll(_ context.Context, prefix string) error {
	defer w.asked("delete %s", prefix)()
	return w.discard()
}

// obliging is a world in which everything succeeds: an attempt of three bytes is staged, and the last of some recipients
// to confirm completes the transfer. now is the clock of its deadlines.
func obliging(attempt uuid.UUID, recipients int, now func() time.Time) *world {
	confirmed := map[models.Party]bool{}
	well := func() error { return nil }
	return &world{
		staged: map[uuid.UUID]models.Content{attempt: {Size: 3, MD5: "right"}}, storedSize: 3,
		accept: func() (models.Acceptance, error) {
			return models.Acceptance{
				Recipients: recipients, UploadDeadline: now().Add(24 * time.Hour), Expires: now().Add(30 * 24 * time.Hour),
				PurgeAfterConfirmed: true, Grace: 2 * time.Hour,
			}, nil
		},
		deliver: func(int) error { return nil },
		confirm: func(p models.Party) (bool, error) {
			confirmed[p] = true
			return len(confirmed) == recipients, nil
		},
		cancel: well, purge: well, fail: well, find: well, verify: well, discard: well, remind: well,
	}
}

// bundle is one workflow in a test environment that skips time.
type bundle struct {
	*world
	env     *testsuite.TestWorkflowEnvironment
	in      workflows.TransferInput
	attempt uuid.UUID
}

func setup(t *testing.T, recipients ...models.Party) *bundle {
	t.Helper()
	b := &bundle{attempt: uuid.New(), env: new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()}
	b.in.Submission = models.Submission{ID: uuid.New(), ResourceID: "svc", Sender: models.Addressee{Party: alice}, RequestHash: "h"}
	for _, p := range recipients {
		b.in.Submission.Recipients = append(b.in.Submission.Recipients, models.Addressee{Party: p})
	}
	b.env.SetWorkflowRunTimeout(400 * 24 * time.Hour)
	b.env.SetTestTimeout(time.Minute) // of real time; the default of 3 s is too short for the race detector on a busy machine
	b.world = obliging(b.attempt, len(recipients), b.env.Now)
	worker.RegisterWorkflows(b.env)
	worker.RegisterActivities(b.env, activities.New(b.world, b.world, b.world, 24*time.Hour))
	return b
}

// after plans something for a moment of the workflow's time.
func (b *bundle) after(d time.Duration, do func()) { b.env.RegisterDelayedCallback(do, d) }

// answer collects the result of an update.
type answer struct {
	t        *testing.T
	accepted bool
	err      error
	value    any
	done     bool
}

func (a *answer) Accept()                       { a.accepted = true }
func (a *answer) Reject(err error)              { a.err, a.done = err, true }
func (a *answer) Complete(value any, err error) { a.value, a.err, a.done = value, err, true }

func (a *answer) refused(want error) {
	a.t.Helper()
	require.True(a.t, a.done)
	require.ErrorIs(a.t, activities.FromTemporal(a.err), want)
}

func (a *answer) ok() {
	a.t.Helper()
	require.True(a.t, a.done)
	require.NoError(a.t, a.err)
}

func (b *bundle) send(t *testing.T, d time.Duration, update string, message any) *answer {
	out := &answer{t: t}
	b.after(d, func() { b.env.UpdateWorkflow(update, uuid.NewString(), out, message) })
	return out
}

func (b *bundle) run(t *testing.T) workflows.TransferResult {
	t.Helper()
	b.env.ExecuteWorkflow(workflows.Transfer, b.in)
	require.True(t, b.env.IsWorkflowCompleted())
	require.NoError(t, b.env.GetWorkflowError())
	var out workflows.TransferResult
	require.NoError(t, b.env.GetWorkflowResult(&out))
	return out
}
