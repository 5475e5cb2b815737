// Package db owns the two databases that Formidling speaks to: connections, dialects, migrations, locks, and the
// transaction, Tx, in which every change of the store happens.
//
// Events and receipts are asked of a Tx and written as it commits, so none is written that nobody signs or is woken for. It has
// one time, Now, for everything that it writes. As it commits, it writes receipts and then events; what other rooms
// want to do after the commit, they say with OnCommit.
//
// It imports nothing of the other rooms of the store. How receipts and events are written, those rooms tell it (Writers).
package db
