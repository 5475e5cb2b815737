package receipts

// Bounds that the tests reach.
const (
	SilentAfter   = silentAfter
	MaxStatements = maxStatements
)
