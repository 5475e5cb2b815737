package api

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Entries of one page of a timeline.
const (
	defaultTimeline = 1000
	maxTimeline     = 10_000
)

func timelinePage(params contract.GetTimelineParams) (models.TimelinePlace, int, error) {
	limit := defaultTimeline
	if params.Limit != nil {
		limit = *params.Limit
	}
	if limit < 1 || limit > maxTimeline {
		return models.TimelinePlace{}, 0, models.InvalidField("limit", fmt.Sprintf("The limit must be between 1 and %d.", maxTimeline))
	}
	place, ok := parseTimelineCursor(value(params.Cursor))
	if !ok {
		return place, 0, models.InvalidField("cursor", "The cursor must be one that a page before told.")
	}
	return place, limit, nil
}

// timelineCursor writes a place so that nobody is tempted to read it.
func timelineCursor(p models.TimelinePlace) string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.At.UTC().Format(time.RFC3339Nano) + " " + strconv.Itoa(p.Passed)))
}

// parseTimelineCursor reads a place; none is the beginning.
func parseTimelineCursor(cursor string) (p models.TimelinePlace, ok bool) {
	if cursor == "" {
		return p, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	at, passed, _ := strings.Cut(string(raw), " ")
	if err == nil {
		p.At, err = time.Parse(time.RFC3339Nano, at)
	}
	if err == nil {
		p.Passed, err = strconv.Atoi(passed)
	}
	return p, err == nil && p.Passed >= 0 && p.Passed <= models.MaxTimelinePassed
}
