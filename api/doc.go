// Package api is the HTTP border of the broker, in the shape of openapi.yaml: it authenticates, reads
// the store, starts and asks workflows, and moves bytes. One file per verb; problem.go is the only
// place where an error becomes a status.
package api
