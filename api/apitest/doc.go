// Package apitest is the workbench of the HTTP border's tests: a server over a real SQLite and a real disk, workflows
// that run the same activities at once, organisations that call it, and a check of each answer against openapi.yaml.
// The rooms' tests are external ones (package tus_test and so on) and use it, so that each lies beside its code and
// all speak to the whole server over HTTP.
//
// It is for tests alone. It imports what api must not: activities, store, objects, webhook.
package apitest
