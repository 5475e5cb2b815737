// Package feed owns each organisation's events: one sequence without gaps, written in the transaction of the change that
// they tell of, and whoever waits for more of it.
//
// write.go numbers and inserts events as a transaction commits, read.go reads them from a place on, and watch.go wakes
// who waits, in this process and by NOTIFY in others. An event is never earlier than the one before it.
//
// It knows nothing of rights: what a supplier may see of its principal's feed, the room reads decides.
package feed
