// Package subscriptions owns webhook subscriptions: what an organisation decides about one (subscriptions.go), and how far
// its delivery has come (progress.go).
//
// The row is the truth: it holds the cursor, so the workflow of a subscription may be ended and started at any time. A
// subscription that waits for work is not busy; whoever gets it by a claim must wake it.
package subscriptions
