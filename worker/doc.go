// Package worker runs the workflows and activities in a process.
//
// RegisterWorkflows, RegisterActivities and RegisterWebhooks name what there is, once for workers, test environments and
// replays. New makes the workers of the task queues: transfers, bytes (deletes files) and webhooks (calls endpoints of
// others). Beside them each process runs two loops that decide nothing: SubscriptionDispatcher wakes the workflows of
// subscriptions that have work, and Sealer triggers the schedule that seals the log of receipts. Both ask the store
// through ports of their own, and both may miss a beat: another process, or the next interval, does the same.
//
// It owns no state. It imports workflows, activities and models, and never the store.
package worker
