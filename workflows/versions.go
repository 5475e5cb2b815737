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
// testdata/<version>/ holds histories recorded from the code of that version, which replay_test.go runs
// against the code as it is now.
//
// A new answer of an activity may lead to new commands without such a question, because a history under way has the old
// answer. Reminders (remind.go) are an example: a transfer has them only if its Acceptance says so.
