// Package bytepath is what every way of bytes through the HTTP border shares, be it one request or many: how long
// somebody may stand still (ReadPatience, WritePatience), the body of a patient reader, the lease of an upload, and
// the slots that bound how much of it runs at once in this process and for one organisation.
//
// It imports models and internal/semaphore, and knows neither the contract nor a port. api and api/tus import it.
package bytepath
