// Package webhook sends events to endpoints on the internet. keys.go and secret.go keep the keys and secrets that sign
// messages, sign.go signs them by the rules of Standard Webhooks, guard.go keeps them away from networks that are not
// public, and sender.go makes one attempt to send one message. When and how often to send is decided by the activity
// PushEvents.
package webhook
