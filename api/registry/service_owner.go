package registry

import (
	"net/http"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// CreateServiceOwner registers the caller as a service owner (docs/reference/altinn-broker.md 1.6). Nobody at the operator is asked.
func (h *Handler) CreateServiceOwner(c *gin.Context) {
	var body contract.ServiceOwnerInitialize
	err := web.ReadJSON(c, &body, false)
	if n := utf8.RuneCountInString(body.Name); err == nil && (n == 0 || n > 255) {
		err = models.InvalidField("name", "The name must have 1 to 255 characters.")
	}
	if err == nil {
		err = models.CheckText("name", body.Name)
	}
	if err == nil {
		err = h.Services.InsertServiceOwner(c.Request.Context(), web.Actor(c), body.Name)
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	c.Status(http.StatusOK)
}

// GetServiceOwner answers with the caller as a service owner (docs/reference/altinn-broker.md 1.6). Storage is shared and always
// ready here; the two kinds are listed because clients wait until theirs is.
func (h *Handler) GetServiceOwner(c *gin.Context) {
	o, err := h.Services.ServiceOwner(c.Request.Context(), web.Caller(c))
	if err != nil {
		web.Problem(c, err)
		return
	}
	out := contract.ServiceOwner{Name: o.Name}
	for _, kind := range []contract.StorageProviderType{contract.StorageProviderTypeAltinnAzure, contract.StorageProviderTypeAltinnAzureWithoutVirusScan} {
		out.StorageProviders = append(out.StorageProviders, contract.StorageProvider{
			Type: kind, DeploymentStatus: contract.StorageProviderDeploymentStatusReady, DeploymentEnvironment: h.environment,
		})
	}
	c.JSON(http.StatusOK, out)
}
