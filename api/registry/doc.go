// Package registry answers the operations by which organisations administer: services and who may use them (grants,
// access lists, connections, access requests), who acts for whom and how it logs in (delegations, clients, the
// credential lock), the decision that follows from all this, and the audit of every change.
//
// A handler reads the request, calls one port and writes the answer; validity, versions and rights are decided in the
// ports. A Handler has the ports that ports.go lists; the store is behind them. The room imports contract, web and
// models (and identity, to read keys), and no other room.
package registry
