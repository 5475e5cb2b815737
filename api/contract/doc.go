// Package contract is openapi.yaml in Go: the types of its bodies and parameters, the interface that the
// server implements, and who may call each operation. It owns nothing that a person wrote but the shape of
// a rule: everything else is generated, so that what the contract says and what the server does cannot
// differ. openapi.yaml itself lies one folder up, beside the server that serves it, because it is written
// first and read by others.
//
// The package imports nothing of ours. Every other room of api imports it.
package contract

//go:generate go tool oapi-codegen -config oapi-codegen.yaml ../openapi.yaml
//go:generate go run ./accessgen ../openapi.yaml access.gen.go
