// Package reads owns the questions that are asked across the other rooms: a transfer as one of its parties sees it
// (views.go), search, the timeline, and the feed of events as a supplier may see it (events.go).
//
// It changes nothing. Who is no party to a transfer gets the same answer as for one that does not exist.
package reads
