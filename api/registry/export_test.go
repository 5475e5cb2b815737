package registry

// Bounds of requests.
const (
	MaxAsked     = maxAsked
	MaxGrantRows = maxGrantRows
	MaxMembers   = maxMembers
)
