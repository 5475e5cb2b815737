package web

import (
	"encoding/base64"
	"fmt"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Entries of a page.
const (
	defaultPage = 100
	maxPage     = 1000
)

// Page is one page of a list that was asked for.
type Page struct {
	After string // the key of the last entry that was read
	Limit int
}

// PageOf reads which page is asked for.
func PageOf(cursor *contract.PageCursor, limit *contract.PageSize) (Page, error) {
	p := Page{Limit: defaultPage}
	if limit != nil {
		p.Limit = *limit
	}
	if p.Limit < 1 || p.Limit > maxPage {
		return p, models.InvalidField("limit", fmt.Sprintf("The limit must be between 1 and %d.", maxPage))
	}
	raw, err := base64.RawURLEncoding.DecodeString(Value(cursor))
	p.After = string(raw)
	if err != nil || models.CheckText("cursor", p.After) != nil {
		return p, BadCursor()
	}
	return p, nil
}

// BadCursor refuses a cursor that is none of ours.
func BadCursor() error {
	return models.InvalidField("cursor", "The cursor must be one that an earlier page gave.")
}

// Cut takes the one entry too many off a list that was read with Limit+1, and returns where the next page is:
// empty on the last one.
func Cut[T any](c *gin.Context, rows []T, p Page, key func(T) string) ([]T, string) {
	if len(rows) <= p.Limit {
		return rows, ""
	}
	rows = rows[:p.Limit]
	return rows, Next(c, "cursor", base64.RawURLEncoding.EncodeToString([]byte(key(rows[p.Limit-1]))))
}

// Next is the request's own address with one parameter of its query changed: where the next page is.
func Next(c *gin.Context, parameter, value string) string {
	next := *c.Request.URL
	values := next.Query()
	values.Set(parameter, value)
	next.RawQuery = values.Encode()
	return next.RequestURI()
}

// Link tells in a header where the next page is; empty: there is none.
func Link(c *gin.Context, next string) {
	if next != "" {
		c.Header("Link", fmt.Sprintf("<%s>; rel=\"next\"", next))
	}
}
