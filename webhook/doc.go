// Package webhook notifies endpoints on the internet of events, one attempt at a time.
//
// keys.go and secret.go keep the keys and secrets that sign messages, sign.go signs them as Standard Webhooks asks,
// guard.go keeps them away from networks that are not public, and sender.go sends one, with places shared out between
// hosts and organisations.
//
// Workflows decide when an attempt is made and how often. The package reads no database: a subscription's address and
// sealed secrets come with each message. What goes wrong at an endpoint is an answer, not an error.
package webhook
