// Package tus owns uploads whose bytes come in several requests: which are open, which bytes of them are durable, how far
// they are hashed, and whose turn it is to write.
//
// No lock is held between requests. Whoever claims an upload raises its epoch, and only the newest epoch commits (write.go).
// open.go opens, finds and ends uploads, join.go makes parts the content of their transfer, place.go gives parts their
// place in a file that they share.
package tus
