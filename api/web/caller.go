package web

import (
	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// What the middlewares leave for the handlers.
const (
	keyCaller  = "caller"
	keyTrace   = "trace"
	keyFailure = "failure"
)

// SetActor says whose credential a request carries.
func SetActor(c *gin.Context, by models.Caller) { c.Set(keyCaller, by) }

// Actor is whose credential the request carries. It is there wherever a credential is asked for.
func Actor(c *gin.Context) models.Caller { return c.MustGet(keyCaller).(models.Caller) }

// Caller is the organisation that the request is from.
func Caller(c *gin.Context) models.Party { return Actor(c).Party }

// CallerIfKnown is the organisation that a request is from, also where none is asked for.
func CallerIfKnown(c *gin.Context) (p models.Party, known bool) {
	by, known := c.Value(keyCaller).(models.Caller)
	return by.Party, known
}

// SetTraceID names a request for the log and for who asks about it.
func SetTraceID(c *gin.Context, id string) { c.Set(keyTrace, id) }

// TraceID is the name of a request.
func TraceID(c *gin.Context) string { return c.GetString(keyTrace) }

// RuleOf is who may call the route of a request, as openapi.yaml has it. A route that does not stand there answers
// nobody, so what was forgotten opens nothing.
func RuleOf(c *gin.Context) contract.Rule {
	return contract.RuleOf(c.Request.Method + " " + c.FullPath())
}

// Authorize tells whether the caller may call an operation at all.
func Authorize(rule contract.Rule, by models.Caller) error {
	scopes := rule.Scopes
	if rule.AnyScope {
		scopes = models.AllScopes()
	}
	switch {
	case !by.Has(scopes...):
		return models.ErrMissingScope
	case rule.NoSupplier && by.Supplier != "":
		return models.ErrNotForSuppliers
	case rule.CertificateOnly && by.Credential.Method != models.LoginCertificate:
		return models.ErrOwnCertificate
	}
	return nil
}
