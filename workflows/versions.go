package workflows

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
// is now. There is no such question yet.
//
// What an activity newly answers may set off new commands without one: a history under way has its old answer. So it
// is with reminders (remind.go), which a transfer has only if Acceptance says so.
