package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
)

// GetMe tells whom the broker takes the caller for.
func (s *Server) GetMe(c *gin.Context) {
	by := actor(c)
	out := contract.Me{Organization: string(by.Party), Scopes: by.Scopes}
	if by.Supplier != "" {
		out.Supplier = ref(string(by.Supplier))
	}
	out.Credential.Method = contract.MeCredentialMethod(by.Credential.Method)
	if by.Credential.Issuer != "" {
		out.Credential.Issuer = ref(by.Credential.Issuer)
	}
	if by.Credential.Thumbprint != "" {
		out.Credential.Thumbprint = ref(by.Credential.Thumbprint)
	}
	c.JSON(http.StatusOK, out)
}
