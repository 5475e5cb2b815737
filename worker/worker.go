package worker

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/workflows"
)

// Registry is what a worker, a test environment and (for the workflows) a replayer have in common.
type Registry interface {
	RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions)
}

// ActivityRegistry is what a worker and a test environment have in common.
type ActivityRegistry interface {
	RegisterActivityWithOptions(a any, o activity.RegisterOptions)
}

// RegisterWorkflows makes the workflows known.
func RegisterWorkflows(r Registry) {
	r.RegisterWorkflowWithOptions(workflows.Transfer, workflow.RegisterOptions{})
	r.RegisterWorkflowWithOptions(workflows.DeliveryGroup, workflow.RegisterOptions{})
	r.RegisterWorkflowWithOptions(workflows.Subscription, workflow.RegisterOptions{})
	r.RegisterWorkflowWithOptions(workflows.SealReceipts, workflow.RegisterOptions{})
}

// RegisterActivities makes the activities known.
func RegisterActivities(r ActivityRegistry, a *activities.Activities) {
	r.RegisterActivityWithOptions(a, activity.RegisterOptions{})
}

// RegisterWebhooks makes the activities of subscriptions known.
func RegisterWebhooks(r ActivityRegistry, w *activities.Webhooks) {
	r.RegisterActivityWithOptions(w, activity.RegisterOptions{})
}

// Options bound what one process takes on.
type Options struct {
	Webhooks         *activities.Webhooks // nil: this process pushes no events
	MaxWebhooks      int                  // subscriptions pushed at once; 0: 256
	MaxWorkflowTasks int                  // at once; 0: the SDK's default
	MaxPurges        int                  // at once on the bytes queue; 0: 4
	StopTimeout      time.Duration        // for what runs when the process must stop; 0: 30 s
	BuildID          string               // with Versioned: the version of this program
	DeploymentName   string
	Versioned        bool // nothing is dispatched to a new version until it is made current
}

// Pair is the workers of both task queues, and that of webhooks if there is one.
type Pair struct{ transfers, bytes, webhooks worker.Worker }

// New prepares the workers on a connection to Temporal.
func New(c client.Client, a *activities.Activities, o Options) *Pair {
	if o.StopTimeout == 0 {
		o.StopTimeout = 30 * time.Second
	}
	if o.MaxPurges == 0 {
		o.MaxPurges = 4
	}
	common := worker.Options{
		WorkerStopTimeout: o.StopTimeout,
		// how long a lost worker's transfers wait for it before another takes them over
		StickyScheduleToStartTimeout: 2 * time.Second,
	}
	if o.Versioned {
		common.DeploymentOptions = worker.DeploymentOptions{
			UseVersioning:             true,
			Version:                   worker.WorkerDeploymentVersion{DeploymentName: o.DeploymentName, BuildID: o.BuildID},
			DefaultVersioningBehavior: workflow.VersioningBehaviorAutoUpgrade, // a transfer outlives many releases
		}
	}
	transfers, bytes := common, common
	transfers.MaxConcurrentWorkflowTaskExecutionSize = o.MaxWorkflowTasks
	bytes.DisableWorkflowWorker = true
	bytes.MaxConcurrentActivityExecutionSize = o.MaxPurges
	p := &Pair{
		transfers: worker.New(c, workflows.QueueTransfers, transfers),
		bytes:     worker.New(c, workflows.QueueBytes, bytes),
	}
	RegisterWorkflows(p.transfers)
	RegisterActivities(p.transfers, a)
	RegisterActivities(p.bytes, a)
	if o.Webhooks != nil {
		webhooks := common
		webhooks.DisableWorkflowWorker = true
		webhooks.MaxConcurrentActivityExecutionSize = cmp.Or(o.MaxWebhooks, 256)
		p.webhooks = worker.New(c, workflows.QueueWebhooks, webhooks)
		RegisterWebhooks(p.webhooks, o.Webhooks)
	}
	return p
}

// Start begins to poll. It fails when Temporal cannot be reached.
func (p *Pair) Start() error {
	if err := p.transfers.Start(); err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	if err := p.bytes.Start(); err != nil {
		p.transfers.Stop()
		return fmt.Errorf("start worker: %w", err)
	}
	if p.webhooks == nil {
		return nil
	}
	if err := p.webhooks.Start(); err != nil {
		p.bytes.Stop()
		p.transfers.Stop()
		return fmt.Errorf("start worker: %w", err)
	}
	return nil
}

// Stop stops polling and waits for what runs, at most Options.StopTimeout.
func (p *Pair) Stop() {
	if p.webhooks != nil {
		p.webhooks.Stop()
	}
	p.bytes.Stop()
	p.transfers.Stop()
}
