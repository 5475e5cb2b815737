package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"
)

// A change to the order of commands in a workflow must ask workflow.GetVersion which way a history
// went, or histories under way can no longer be replayed. Every such question is a named predicate
// in this file, and nowhere else, in this form:
//
//	// scansBeforeDelivery: since 1.1 content is scanned before it is delivered.
//	func scansBeforeDelivery(ctx workflow.Context) bool {
//		return workflow.GetVersion(ctx, "scan-before-delivery", workflow.DefaultVersion, 1) == 1
//	}
//
// testdata/ holds recorded histories of released code, which replay_test.go runs against the code as it
// is now.
//
// What an activity newly answers may set off new commands without one: a history under way has its old answer. So it
// is with reminders (remind.go), which a transfer has only if Acceptance says so.

// sealedBySchedule: the log of receipts is sealed by a schedule, and ReceiptLog ends. It is asked in each round by a name
// of its own, because the answer to one name stays what it was in rounds that a history has.
func sealedBySchedule(ctx workflow.Context, round int) bool {
	return workflow.GetVersion(ctx, fmt.Sprintf("sealed-by-schedule-%d", round), workflow.DefaultVersion, 1) == 1
}
