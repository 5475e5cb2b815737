// Package semaphore bounds how many may do something at once, in all and for each key: uploads of an organisation, clients
// that wait for events, requests to one host. It owns the count and nothing else; what is answered to a caller who is
// refused, its users decide.
//
// Nobody waits here. A caller that waited would hold the very thing that the bound is to protect, so Acquire refuses at
// once, and the caller may come back.
package semaphore
