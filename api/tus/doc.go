// Package tus answers the operations of uploads whose bytes come in several requests: the protocol tus 1.0.0 with its
// parts, on Altinn's paths. Any replica answers any request: state is in the database behind Resumables, bytes are in
// objects behind Drafts, and a claim with a higher epoch fences whoever wrote before (writers.go).
//
// What a file's hashes need is order, so parts wait for each other where hashing takes the time (queue.go) and are
// hashed ahead of their join (hash.go); publishing happens once for all who wait (finish.go). What was cut off is
// taken up by the next request or by CollectTus. docs/adr/0009 says why the handler is our own. The room imports
// contract, web, bytepath and models, and no other room.
package tus
