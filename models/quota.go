package models

// Quotas bound what one organisation may keep in the registry, so that self-service stays safe.
type Quotas struct {
	Services    int64 // of one owner
	Grants      int64 // of one service
	Lists       int64 // of one owner
	Members     int64 // of one list
	Connections int64 // of one service
	Requests    int64 // pending, of one organisation
	Delegations int64 // of one principal
	Clients     int64 // of one organisation
	// Subscriptions of one organisation.
	Subscriptions int64
	// Refusals of submissions that are receipted, of one organisation and day (UTC).
	Refusals int64
}

// DefaultQuotas hold unless an installation sets others.
func DefaultQuotas() Quotas {
	return Quotas{Services: 100, Grants: 100_000, Lists: 100, Members: 100_000, Connections: 20, Requests: 50, Delegations: 1000, Clients: 20, Subscriptions: 20, Refusals: 1000}
}

// ErrQuota tells that a quota is used up. Limit and Actual are in entries.
func ErrQuota(what string, limit, wanted int64) error {
	e := errQuota.Exceeded(limit, wanted)
	e.Message = "The quota of " + what + " is used up."
	return e
}
