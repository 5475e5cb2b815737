package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Pages of the registry.
const (
	defaultPage = 100
	maxPage     = 1000
)

// finish ends a request with the error's problem, or with what write writes.
func (s *Server) finish(c *gin.Context, err error, write func()) {
	if err != nil {
		s.problem(c, err)
		return
	}
	write()
}

// entry answers with an entry of the registry, and its version for the next change.
func entry(c *gin.Context, status int, version int64, body any) {
	c.Header("ETag", tag(version))
	c.JSON(status, body)
}

// putStatus tells what was made from what was changed.
func putStatus(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}

func tag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// condition reads If-Match and If-None-Match. One strong tag of ours, or *, is all that makes sense here.
func condition(match, absent *string) (models.Condition, error) {
	var out models.Condition
	if absent != nil {
		if strings.TrimSpace(*absent) != "*" {
			return out, models.InvalidField("If-None-Match", "If-None-Match must be * here: only if there is nothing yet.")
		}
		out.Absent = true
	}
	if match == nil {
		return out, nil
	}
	var err error
	out.Version, out.Exists, err = matching("If-Match", *match)
	return out, err
}

func matching(field, given string) (version int64, any bool, err error) {
	given = strings.TrimSpace(given)
	if given == "*" {
		return 0, true, nil
	}
	number, opened := strings.CutPrefix(given, `"`)
	number, closed := strings.CutSuffix(number, `"`)
	version, err = strconv.ParseInt(number, 10, 64)
	if err != nil || !opened || !closed || version < 1 {
		return 0, false, models.InvalidField(field, field+" must be one ETag as it was read, such as \"17\", or *.")
	}
	return version, false, nil
}

// page is one page of a list that was asked for.
type page struct {
	after string // the key of the last entry that was read
	limit int
}

func pageOf(cursor *contract.PageCursor, limit *contract.PageSize) (page, error) {
	p := page{limit: defaultPage}
	if limit != nil {
		p.limit = *limit
	}
	if p.limit < 1 || p.limit > maxPage {
		return p, models.InvalidField("limit", fmt.Sprintf("The limit must be between 1 and %d.", maxPage))
	}
	raw, err := base64.RawURLEncoding.DecodeString(value(cursor))
	p.after = string(raw)
	if err != nil || models.CheckText("cursor", p.after) != nil {
		return p, models.InvalidField("cursor", "The cursor must be one that a page before told.")
	}
	return p, nil
}

// cut takes the one entry too many off a list that was read with limit+1, and returns where the next page is:
// empty on the last one.
func cut[T any](c *gin.Context, rows []T, p page, key func(T) string) ([]T, string) {
	if len(rows) <= p.limit {
		return rows, ""
	}
	rows = rows[:p.limit]
	next := *c.Request.URL
	values := next.Query()
	values.Set("cursor", base64.RawURLEncoding.EncodeToString([]byte(key(rows[p.limit-1]))))
	next.RawQuery = values.Encode()
	return rows, next.RequestURI()
}

// link tells in a header where the next page is.
func link(c *gin.Context, next string) {
	if next != "" {
		c.Header("Link", fmt.Sprintf("<%s>; rel=\"next\"", next))
	}
}

// moment reads an optional time, in the precision that is stored.
func moment(field string, given *string) (*time.Time, error) {
	if given == nil {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, *given)
	if err != nil {
		return nil, models.InvalidField(field, "It must be a time of RFC 3339, such as 2027-01-01T00:00:00Z.")
	}
	at = at.UTC().Truncate(time.Microsecond)
	return &at, nil
}

// validity reads from when until when something holds.
func validity(from, to *string) (validFrom, validTo *time.Time, err error) {
	if validFrom, err = moment("validFrom", from); err != nil {
		return nil, nil, err
	}
	validTo, err = moment("validTo", to)
	return validFrom, validTo, err
}

// termsOf reads the terms of a grant or a connection.
func termsOf(b contract.TermsUpdate) (models.Terms, error) {
	t := models.Terms{
		Effect: models.EffectAllow, MaySend: value(b.Send), MayReceive: value(b.Receive),
		ReplyOnly: value(b.ReplyOnly), AcceptsReplies: value(b.AcceptsReplies),
	}
	if b.Effect != nil {
		t.Effect = models.Effect(*b.Effect)
	}
	var err error
	t.ValidFrom, t.ValidTo, err = validity(b.ValidFrom, b.ValidTo)
	return t, err
}

// service reads the id of a service from a path.
func service(id string) (string, error) { return models.ResourceID(id), models.CheckResourceID(id) }
