package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// SearchFileTransfers lists ids of the caller's transfers in a service (docs/reference/altinn-broker.md 1.3, search).
func (s *Server) SearchFileTransfers(c *gin.Context, params contract.SearchFileTransfersParams) {
	q, err := searchOf(params, web.Caller(c))
	if err != nil {
		web.Problem(c, err)
		return
	}
	var page models.SearchPage
	roles, err := s.Rights.LookAs(c.Request.Context(), q.ResourceID, web.Actor(c))
	if err == nil {
		q, err = q.Within(roles)
	}
	if err == nil {
		page, err = s.Views.SearchTransfers(c.Request.Context(), q)
	}
	if err == nil && len(page.IDs) == 0 {
		err = s.mayLookInto(c, q.ResourceID)
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	if page.Next != nil {
		web.Link(c, web.Next(c, "cursor", cursorOf(*page.Next)))
	}
	c.JSON(http.StatusOK, page.IDs)
}

// mayLookInto refuses who has no right in a service and found nothing there.
func (s *Server) mayLookInto(c *gin.Context, resource string) error {
	send, receive, err := s.Rights.RightsOf(c.Request.Context(), resource, web.Caller(c))
	if err == nil && !send && !receive {
		return models.ErrNoAccess
	}
	return err
}

func searchOf(p contract.SearchFileTransfersParams, by models.Party) (models.Search, error) {
	var bad []models.FieldError
	check := func(field string, err error) {
		if err != nil {
			bad = append(bad, models.FieldError{Field: field, Message: "The value '" + field + "' is not valid: " + err.Error()})
		}
	}
	q := models.Search{
		Caller: by, ResourceID: models.ResourceID(p.ResourceID), SendersReference: web.Value(p.SendersFileTransferReference),
		Ascending: web.Value(p.OrderAscending), Limit: models.MaxSearchResults,
	}
	if q.ResourceID == "" {
		bad = append(bad, models.FieldError{Field: "resourceId", Message: "The resourceId field is required."})
	}
	for _, f := range []struct{ field, text string }{{"resourceId", q.ResourceID}, {"sendersFileTransferReference", q.SendersReference}} {
		if models.CheckText(f.field, f.text) != nil { // PostgreSQL would refuse the question
			bad = append(bad, models.FieldError{Field: f.field, Message: "The value is not valid."})
		}
	}
	var err error
	q.Status, err = optional(p.Status, models.ParseTransferStatus)
	check("status", err)
	q.RecipientStatus, err = optional(p.RecipientStatus, models.ParseRecipientStatus)
	check("recipientStatus", err)
	q.From, err = optional(p.From, parseTime)
	check("from", err)
	q.To, err = optional(p.To, parseTime)
	check("to", err)
	q.After, err = optional(p.Cursor, parseCursor)
	check("cursor", err)
	role, err := optional(p.Role, parseRole)
	check("role", err)
	q.Role = web.Value(role)
	if p.Limit != nil {
		if q.Limit = *p.Limit; q.Limit < 1 || q.Limit > models.MaxSearchResults {
			bad = append(bad, models.FieldError{Field: "limit", Message: fmt.Sprintf("The limit must be between 1 and %d.", models.MaxSearchResults)})
		}
	}
	return q, models.Invalid(bad)
}

// optional parses a parameter that was given and is not empty.
func optional[T any](given *string, parse func(string) (T, error)) (*T, error) {
	if given == nil || *given == "" {
		return nil, nil
	}
	v, err := parse(*given)
	return &v, err
}

func parseRole(s string) (models.Role, error) {
	for _, r := range []models.Role{models.RoleSender, models.RoleRecipient} {
		if strings.EqualFold(s, string(r)) {
			return r, nil
		}
	}
	return "", fmt.Errorf("it is neither Sender nor Recipient")
}

// timeForms are what Altinn's clients send (docs/reference/altinn-broker.md 1.3, search); a time without offset is UTC.
var timeForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02"}

func parseTime(s string) (time.Time, error) {
	for _, form := range timeForms {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	// a plus that was not escaped arrives as a space: 2026-05-01T00:00:00 02:00
	if i := strings.LastIndexByte(s, ' '); i > len("2006-01-02T") {
		return time.Parse(time.RFC3339Nano, s[:i]+"+"+s[i+1:])
	}
	return time.Time{}, fmt.Errorf("it is not a time")
}

// cursorOf writes a position so that nobody is tempted to read it.
func cursorOf(p models.SearchPosition) string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.At.UTC().Format(time.RFC3339Nano) + " " + p.ID.String()))
}

func parseCursor(s string) (models.SearchPosition, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return models.SearchPosition{}, fmt.Errorf("it is not a cursor of ours")
	}
	at, id, _ := strings.Cut(string(raw), " ")
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return models.SearchPosition{}, fmt.Errorf("it is not a cursor of ours")
	}
	u, err := uuid.Parse(id)
	if err != nil {
		return models.SearchPosition{}, fmt.Errorf("it is not a cursor of ours")
	}
	return models.SearchPosition{At: t, ID: u}, nil
}
