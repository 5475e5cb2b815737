package workflows_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/workflows"
)

// killer is a database that commits, whereupon Temporal is killed before it hears of it.
type killer struct {
	*store.Store
	kill func()
}

func (k *killer) die() {
	if k.kill != nil {
		k.kill()
		k.kill = nil
	}
}

func (k *killer) CancelTransfer(ctx context.Context, id uuid.UUID) error {
	defer k.die()
	return k.Store.CancelTransfer(ctx, id)
}

func (k *killer) ConfirmTransfer(ctx context.Context, id uuid.UUID, p models.Party) (bool, error) {
	defer k.die()
	return k.Store.ConfirmTransfer(ctx, id, p)
}

// An update is in no history before its first workflow task is done, so Temporal and the worker can forget
// it by dying together, though the database kept what it did. The same request again repairs that.
func TestTransfer_HearsAgainOfWhatTheDatabaseRecorded(t *testing.T) {
	for name, tc := range map[string]struct {
		ask func(*real, models.Submission) error
		end string
	}{
		"cancel":  {func(r *real, s models.Submission) error { return r.door.Cancel(context.Background(), s.ID) }, "Cancelled"},
		"confirm": {func(r *real, s models.Submission) error { return r.door.Confirm(context.Background(), s.ID, 0, bob) }, "Purged"},
	} {
		t.Run(name, func(t *testing.T) {
			r, k, restart := setupMortal(t)
			s := r.publish(t, bob)
			if name == "confirm" {
				_, err := r.BeginAccess(t.Context(), s.ID, models.Caller{Party: bob}, 0, 1)
				require.NoError(t, err)
			}
			k.kill = restart.kill
			require.ErrorIs(t, tc.ask(r, s), models.ErrUnavailable)
			r.stop()
			restart.start(t, r)
			require.Eventually(t, func() bool { return tc.ask(r, s) == nil }, 30*time.Second, 100*time.Millisecond)
			out, _ := r.ended(t, workflows.TransferID(s.ID))
			require.Equal(t, tc.end, out.Status)
			_, err := r.objects.Stat(t.Context(), models.TransferPrefix(s.ID))
			require.ErrorIs(t, err, models.ErrObjectNotFound)
		})
	}
}

// mortal is a Temporal that can be killed and started again on its file.
type mortal struct {
	stack *testenv.Devstack
	file  string
	port  int
}

func (m *mortal) kill() { m.stack.Kill() }

func (m *mortal) start(t *testing.T, r *real) {
	t.Helper()
	var err error
	m.stack, err = testenv.StartDevstack(m.file, "0", "--port", fmt.Sprint(m.port))
	require.NoError(t, err)
	t.Cleanup(m.stack.Kill)
	r.temporal, err = client.Dial(client.Options{HostPort: m.stack.Address, Logger: sdklog.NewStructuredLogger(quietLog())})
	require.NoError(t, err)
	t.Cleanup(r.temporal.Close)
	r.door = workflows.NewClient(r.temporal)
	r.work(t)
	t.Cleanup(r.stop)
}

func setupMortal(t *testing.T) (*real, *killer, *mortal) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open("sqlite:"+filepath.Join(dir, "test.db"), store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(t.Context()))
	files, err := objects.Connect(t.Context(), filepath.Join(dir, "objects"), objects.Options{})
	require.NoError(t, err)
	m := &mortal{file: filepath.Join(dir, "temporal.db")}
	m.port, err = testenv.FreePort()
	require.NoError(t, err)
	k := &killer{Store: s}
	r := &real{Store: s, objects: files, acts: activities.New(k, s, files, time.Hour)}
	m.start(t, r)
	require.NoError(t, s.InsertServiceOwner(t.Context(), models.Caller{Party: owner}, "owner"))
	none := "PT0S"
	_, err = s.PutResource(t.Context(), models.Caller{Party: owner}, svc, models.ResourcePatch{Grace: &none}, models.Condition{Unconditional: true})
	require.NoError(t, err)
	grant(t, s, alice, models.Terms{MaySend: true})
	return r, k, m
}
