package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/models"
)

// GetResource answers with the policy of a service of the caller (reference 1.5).
func (s *Server) GetResource(c *gin.Context, id ResourceID) {
	err := models.CheckResourceID(id)
	var r models.Resource
	if err == nil {
		r, err = s.Services.ResourceByID(c.Request.Context(), models.ResourceID(id))
	}
	if err == nil && r.Owner != caller(c) {
		err = models.ErrNoAccess
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	c.JSON(http.StatusOK, resourceOf(r))
}

// PutResource makes a service of the caller, or changes the fields that are given (reference 1.5).
func (s *Server) PutResource(c *gin.Context, id ResourceID) {
	var body ResourceUpdate
	err := readJSON(c, &body, false)
	if err == nil {
		err = models.CheckResourceID(id)
	}
	if err == nil {
		_, err = s.Services.PutResource(c.Request.Context(), actor(c), models.ResourceID(id), patchOf(body), models.Condition{Unconditional: true})
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func patchOf(b ResourceUpdate) models.ResourcePatch {
	return models.ResourcePatch{
		MaxFileSize: b.MaxFileTransferSize, TimeToLive: b.FileTransferTimeToLive,
		PurgeAfterConfirmed: b.PurgeFileTransferAfterAllRecipientsConfirmed, Grace: b.PurgeFileTransferGracePeriod,
		UseManifestShim: b.UseManifestFileShim, ServiceCode: b.ExternalServiceCodeLegacy,
		EditionCode: b.ExternalServiceEditionCodeLegacy, RequiredParty: b.RequiredParty,
	}
}

func resourceOf(r models.Resource) Resource {
	out := Resource{
		MaxFileTransferSize: r.MaxFileSize, FileTransferTimeToLive: models.FormatDuration(r.TimeToLive),
		PurgeFileTransferAfterAllRecipientsConfirmed: r.PurgeAfterConfirmed,
		PurgeFileTransferGracePeriod:                 models.FormatDuration(r.Grace), UseManifestFileShim: r.UseManifestShim,
	}
	if r.ServiceCode != "" {
		out.ExternalServiceCodeLegacy = &r.ServiceCode
	}
	if r.EditionCode != 0 {
		out.ExternalServiceEditionCodeLegacy = &r.EditionCode
	}
	if r.RequiredParty != "" {
		out.RequiredParty = ref(string(r.RequiredParty))
	}
	return out
}

func ref[T any](v T) *T { return &v }

// organisationInPath reads an organisation number with or without its scheme.
func organisationInPath(given string) (models.Party, error) {
	p, err := models.ParseOrganisation(given)
	if err != nil {
		return p, models.InvalidField("organization", models.PartyRule)
	}
	return p, nil
}
