package api

import (
	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// ruleOf is who may call the route of a request, as openapi.yaml has it. A route that does not stand there answers
// nobody, so what was forgotten opens nothing.
func ruleOf(c *gin.Context) contract.Rule {
	return contract.RuleOf(c.Request.Method + " " + c.FullPath())
}

// authorize tells whether the caller may call an operation at all.
func authorize(rule contract.Rule, by models.Caller) error {
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
