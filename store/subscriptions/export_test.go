package subscriptions

// OverdueAfter is how long a subscription may be silent before it is woken again.
const OverdueAfter = overdueAfter
