// Package store keeps the state of Formidling in PostgreSQL or SQLite. It is the only importer of GORM, in rooms:
//
//	db <- feed <- registry <- receipts <- transfers <- {tus, subscriptions, reads}
//
// A room imports only rooms to its left. Each owns its tables and says in its doc.go what it promises; all changes are
// made in a db.Tx. Store puts the rooms together and has the methods of all, which are the ports that others declare.
package store
