package receipts

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
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
	place, ok := parseTimelineCursor(web.Value(params.Cursor))
	if !ok {
		return place, 0, web.BadCursor()
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

// GetTimeline answers with all that happened to a transfer.
func (h *Handler) GetTimeline(c *gin.Context, id contract.FileTransferID, params contract.GetTimelineParams) {
	place, limit, err := timelinePage(params)
	var withheld models.Role
	if err == nil {
		withheld, err = h.mayReadReceipts(c, id)
	}
	var entries []models.TimelineEntry
	if err == nil {
		q := models.TimelineQuery{Viewer: web.Caller(c), Withheld: withheld, From: place, Limit: limit + 1}
		_, entries, err = h.Receipts.TimelineFor(c.Request.Context(), id, q)
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	if len(entries) > limit {
		entries = entries[:limit]
		web.Link(c, web.Next(c, "cursor", timelineCursor(place.Behind(entries))))
	}
	out := contract.Timeline{Entries: make([]contract.TimelineEntry, 0, len(entries))}
	for _, e := range entries {
		out.Entries = append(out.Entries, contract.TimelineEntry{
			At: e.At, Kind: contract.TimelineEntryKind(e.Kind), What: e.What, Actor: web.TextOrNull(e.Actor), Recipient: web.TextOrNull(e.Recipient), Cause: e.Cause,
			Supplier: web.TextOrNull(e.Supplier), Login: web.TextOrNull(string(e.Login)), Thumbprint: web.TextOrNull(e.Thumbprint),
		})
	}
	c.JSON(http.StatusOK, out)
}
