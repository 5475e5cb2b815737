package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/worker"
)

// docs/architecture.md, "Change": with worker versioning nothing is dispatched until the deploy step.
func TestVersionedWorker_WaitsUntilItsVersionIsMadeCurrent(t *testing.T) {
	r, _, _ := setupMortal(t)
	r.stop()
	pair := worker.New(r.temporal, r.acts, worker.Options{StopTimeout: time.Second, Versioned: true, BuildID: "1", DeploymentName: "formidling"})
	require.NoError(t, pair.Start())
	r.stop = pair.Stop
	s := r.submission(t, bob)
	_, err := r.door.Initialize(t.Context(), s)
	require.ErrorIs(t, err, models.ErrUnavailable)
	deployment := r.temporal.WorkerDeploymentClient().GetHandle("formidling")
	require.Eventually(t, func() bool {
		_, err := deployment.SetCurrentVersion(t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: "1"})
		return err == nil
	}, 20*time.Second, 200*time.Millisecond)
	require.Eventually(t, func() bool {
		_, err := r.door.Initialize(t.Context(), s)
		return err == nil
	}, 30*time.Second, 200*time.Millisecond)
}
