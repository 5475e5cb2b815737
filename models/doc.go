// Package models is the language of Formidling: transfers, recipients, events, receipts, resources, rights,
// and every error that a caller may see.
//
// What may happen to a transfer stands here once. status.go has the one table of steps that it may take, may.go the
// rule of each step with its error; handlers, workflow validators and the store ask the same one. decision.go says who
// may do what in a service. What is a list is one table: error_catalogue.go, eventTable in event.go.
//
// The package does no input or output, reads no clock and imports nothing of ours.
package models
