// Package api is the HTTP border of the broker, in the shape of openapi.yaml: it authenticates, reads the store, starts
// and asks workflows, and moves bytes. It answers the operations on transfers itself, one file per verb
// (transfer_*.go); others are rooms below it, which server.go puts together:
//
//	contract  generated: types, the interface, who may call what
//	web       errors, callers, JSON, conditions, pages
//	bytepath  patience, slots and leases of bytes under way
//	registry, events, receipts, tus  handlers, each with ports of its own
//	apitest   the workbench of the tests
//
// Imports go one way: contract, then web and bytepath, then the rooms, which do not know each other, then api.
package api
