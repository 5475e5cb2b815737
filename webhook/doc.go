// Package webhook tells endpoints on the internet of events. keys.go and secret.go keep what messages are signed with,
// sign.go signs them as Standard Webhooks has it, guard.go keeps them away from networks that are not public, and
// sender.go sends one. When and how often is decided elsewhere.
package webhook
