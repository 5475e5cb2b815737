// Package receipts answers the operations on what can be proved: the receipts of a transfer and of an organisation, for
// programs and as a page for people, the public log and its proofs, and the timeline. It also keeps what parties state
// about a transfer, with their own signatures (statements.go), which the verbs of transfers call before they act.
//
// Without keys, or where no receipts are kept, its ports are nil and it says so. Signing and the log are the
// program's package receipts; this room only shows them. It imports contract, web and models, and no other room.
package receipts
