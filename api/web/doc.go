// Package web is what every room of the HTTP border shares, and small: how an error becomes a status (problem.go is
// the only place), who the caller is and whether it may call an operation at all, how JSON, parameters, conditions and
// pages are read and written. It knows Gin and the contract; it has no port, reads no store and decides nothing
// about a transfer.
//
// It imports contract and models. The rooms import it, never the other way.
package web
