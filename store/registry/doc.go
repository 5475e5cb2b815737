// Package registry owns services, rights and credentials: resources, grants, access lists with members and connections,
// access requests, delegations, clients, credential locks, and the audit of every change of them.
//
// Each change is an Amendment: read, version, quota, audit, write, in one transaction (amend.go). Decisions ask the
// registry in SQL (decide.go) by the rules of package models; when a right counts stands in one fragment (valid.go), and
// what is named in receipts as the right of a step is found by it too (grant_for.go).
package registry
