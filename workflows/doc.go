// Package workflows decides what happens to a transfer. It is deterministic and has no side effects of its own.
//
// Transfer is the whole life of one transfer; its method live lists the steps. Each step has a file, in the order of
// that life: authorize.go, content.go, deliver.go, confirm.go with remind.go, purge.go; cancel.go may come in between.
// Above models.GroupSize recipients a DeliveryGroup (group.go) delivers and takes confirmations for each hundred.
// Subscription pushes events to an endpoint, SealReceipts seals the log of receipts.
//
// messages.go and subscription_messages.go name everything that is sent to a workflow. client*.go is the typed door
// that the API uses, encryption.go the codec of payloads. None of these three runs inside a workflow.
//
// Lives outlast releases, so versions.go and testdata/ say how this code may change.
package workflows
