package registry

import (
	"fmt"
	"net/http"
	"regexp"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// maxLocked bounds each list of a credential lock.
const maxLocked = 50

// thumbprint is a SHA-256 in base64url without padding.
var thumbprint = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// GetCredentialLock reads which credentials alone act for the caller.
func (h *Handler) GetCredentialLock(c *gin.Context) {
	l, err := h.Store.CredentialLockOf(c.Request.Context(), web.Caller(c))
	web.Finish(c, err, func() { web.Entry(c, http.StatusOK, l.Version, credentialLockOf(l)) })
}

// PutCredentialLock says which credentials alone act for the caller.
func (h *Handler) PutCredentialLock(c *gin.Context, params contract.PutCredentialLockParams) {
	var body contract.CredentialLockUpdate
	err := web.ReadJSON(c, &body, true)
	l := models.CredentialLock{Certificates: body.Certificates, Keys: body.Keys, Issuers: body.Issuers}
	if err == nil {
		err = checkLock(l)
	}
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	var created bool
	if err == nil {
		l, created, err = h.Store.PutCredentialLock(c.Request.Context(), web.Actor(c), l, cond)
	}
	web.Finish(c, err, func() { web.Entry(c, web.PutStatus(created), l.Version, credentialLockOf(l)) })
}

func checkLock(l models.CredentialLock) error {
	var bad []models.FieldError
	for field, list := range map[string][]string{"certificates": l.Certificates, "keys": l.Keys, "issuers": l.Issuers} {
		if len(list) > maxLocked {
			return models.InvalidField(field, fmt.Sprintf("At most %d can be named.", maxLocked))
		}
		for i, v := range list {
			switch {
			case field != "issuers" && !thumbprint.MatchString(v):
				bad = append(bad, models.FieldError{Field: fmt.Sprintf("%s[%d]", field, i), Message: "It must be a SHA-256 in base64url without padding, 43 characters."})
			case field == "issuers" && (v == "" || len(v) > models.MaxName || models.CheckText(field, v) != nil):
				bad = append(bad, models.FieldError{Field: fmt.Sprintf("%s[%d]", field, i), Message: "It must be the name of an issuer, at most 255 bytes."})
			}
		}
	}
	return models.Invalid(bad)
}

// DeleteCredentialLock lets every valid credential act for the caller again.
func (h *Handler) DeleteCredentialLock(c *gin.Context, params contract.DeleteCredentialLockParams) {
	cond, err := web.Condition(params.IfMatch, params.IfNoneMatch)
	if err == nil {
		err = h.Store.DeleteCredentialLock(c.Request.Context(), web.Actor(c), cond)
	}
	web.Finish(c, err, func() { c.Status(http.StatusNoContent) })
}

func credentialLockOf(l models.CredentialLock) contract.CredentialLock {
	return contract.CredentialLock{Certificates: l.Certificates, Keys: l.Keys, Issuers: l.Issuers, Etag: web.Tag(l.Version), Updated: l.Updated.UTC()}
}
