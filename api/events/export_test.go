package events

// EventForm is the form that an Accept header asks for.
var EventForm = eventForm
