// Package events answers the operations of the event feed and of subscriptions to it: pages, long polls, streams of
// server-sent events (stream.go), and endpoints that are notified (subscriptions.go). It owns who waits for events in
// this process, which is bounded, and of one organisation to a quarter of that.
//
// Whoever has waited is asked again whether it may: a credential can be revoked meanwhile. Nothing is lost by who
// breaks off, because the feed is read by cursor. The room imports contract, web, bytepath, semaphore and models, and no
// other room.
package events
