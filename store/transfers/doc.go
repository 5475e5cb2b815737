// Package transfers owns the life of a transfer in the database: accept, deliver, confirm, end, discard, remind, and the
// facts of the data plane that decide nothing until a workflow reads them (uploads.go, accesses.go).
//
// Rows of a transfer are changed by the activities of that transfer's own workflow alone. Each change locks the transfer's
// row, asks a rule of package models whether it may be, writes the history (transitions.go), and leaves receipts and
// events to the commit.
package transfers
