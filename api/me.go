package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
)

// GetMe tells whom the broker takes the caller for.
func (s *Server) GetMe(c *gin.Context) {
	by := web.Actor(c)
	out := contract.Me{Organization: string(by.Party), Scopes: by.Scopes}
	if by.Supplier != "" {
		out.Supplier = web.Ref(string(by.Supplier))
	}
	out.Credential.Method = contract.MeCredentialMethod(by.Credential.Method)
	if by.Credential.Issuer != "" {
		out.Credential.Issuer = web.Ref(by.Credential.Issuer)
	}
	if by.Credential.Thumbprint != "" {
		out.Credential.Thumbprint = web.Ref(by.Credential.Thumbprint)
	}
	c.JSON(http.StatusOK, out)
}
