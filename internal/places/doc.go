// Package places counts who is in a place that has room for so many, in all and of each kind: uploads of an
// organisation, clients that wait for events, requests to one host. It owns the count and nothing else; what
// is told to who finds no room, its users decide.
//
// Nobody waits here. A caller that waited would hold the very thing that the bound is to protect, so who
// finds no room hears it at once and may come back.
package places
