package receipts

// TimelineCursor writes a place in a timeline.
var TimelineCursor = timelineCursor
