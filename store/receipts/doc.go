// Package receipts owns what is written down and signed about transfers: chains of receipts, the facts that they are made
// of, and the log that holds them all.
//
// write.go fixes receipts as a transaction commits, and sign.go signs them there if that is quick. facts.go makes receipts
// of what the data plane appended and of what parties said (statements); steps.go of the steps of a transfer's life.
// log.go gives every receipt its place in the public log, refusals.go receipts what was refused, proofs.go keeps the
// parties' own signatures. Package receipts outside of the store has the keys and the cryptography.
//
// A receipt's time is that of the transaction that wrote it down, and never before that of the one before it.
package receipts
