package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// GetResource answers with the policy of a service of the caller (reference 1.5).
func (s *Server) GetResource(c *gin.Context, id contract.ResourceID) {
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
	entry(c, http.StatusOK, r.Version, resourceOf(r))
}

// PutResource makes a service of the caller, or changes the fields that are given (reference 1.5). Altinn's clients
// know no conditions: the fields that they know may be changed without one. Who sends one is heeded.
func (s *Server) PutResource(c *gin.Context, id contract.ResourceID, params contract.PutResourceParams) {
	var body contract.ResourceUpdate
	resource, err := service(id)
	if err == nil {
		err = readJSON(c, &body, false)
	}
	var cond models.Condition
	patch := patchOf(body)
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
		cond.Unconditional = params.IfMatch == nil && params.IfNoneMatch == nil && patch.OfReference()
	}
	if err == nil && value(body.VirusScan) == string(models.ScanRequired) && !s.CanScan {
		err = models.InvalidField("virusScan", "This installation has no virus scanner.")
	}
	s.putResource(c, resource, patch, cond, err)
}

// CloseResource lets a service of the caller take no new transfers.
func (s *Server) CloseResource(c *gin.Context, id contract.ResourceID, params contract.CloseResourceParams) {
	resource, err := service(id)
	var cond models.Condition
	if err == nil {
		cond, err = condition(params.IfMatch, params.IfNoneMatch)
	}
	if err == nil { // it must exist: a PUT would make it
		_, err = s.Services.ResourceByID(c.Request.Context(), resource)
	}
	s.putResource(c, resource, models.ResourcePatch{Closed: ref(true)}, cond, err)
}

func (s *Server) putResource(c *gin.Context, resource string, patch models.ResourcePatch, cond models.Condition, err error) {
	var r models.Resource
	if err == nil {
		r, err = s.Services.PutResource(c.Request.Context(), actor(c), resource, patch, cond)
	}
	s.finish(c, err, func() {
		c.Header("ETag", tag(r.Version))
		c.Status(http.StatusNoContent)
	})
}

// ListResources lists the services of the caller.
func (s *Server) ListResources(c *gin.Context, params contract.ListResourcesParams) {
	p, err := pageOf(params.Cursor, params.Limit)
	var rows []models.Resource
	if err == nil {
		rows, err = s.Services.ResourcesOf(c.Request.Context(), caller(c), p.after, p.limit+1)
	}
	s.finish(c, err, func() {
		rows, next := cut(c, rows, p, func(r models.Resource) string { return r.ID })
		out := contract.ResourceList{Resources: make([]contract.Resource, len(rows))}
		for i, r := range rows {
			out.Resources[i] = resourceOf(r)
		}
		link(c, next)
		c.JSON(http.StatusOK, out)
	})
}

func patchOf(b contract.ResourceUpdate) models.ResourcePatch {
	return models.ResourcePatch{
		MaxFileSize: b.MaxFileTransferSize, TimeToLive: b.FileTransferTimeToLive,
		PurgeAfterConfirmed: b.PurgeFileTransferAfterAllRecipientsConfirmed, Grace: b.PurgeFileTransferGracePeriod,
		UseManifestShim: b.UseManifestFileShim, ServiceCode: b.ExternalServiceCodeLegacy,
		EditionCode: b.ExternalServiceEditionCodeLegacy, RequiredParty: b.RequiredParty,
		MaxRecipients: b.MaxRecipients, RecipientsSeeEachOther: b.RecipientsSeeEachOther, LoginMethods: given(b.LoginMethods),
		VirusScan: b.VirusScan, Suppliers: b.Suppliers, AcceptedSuppliers: given(b.AcceptedSuppliers), Closed: b.Closed,
		ConfirmationReminders: given(b.ConfirmationReminders),
		ComputeMD5:            b.ComputeMd5,
	}
}

func resourceOf(r models.Resource) contract.Resource {
	out := contract.Resource{
		MaxFileTransferSize: r.MaxFileSize, FileTransferTimeToLive: models.FormatDuration(r.TimeToLive),
		PurgeFileTransferAfterAllRecipientsConfirmed: r.PurgeAfterConfirmed,
		PurgeFileTransferGracePeriod:                 models.FormatDuration(r.Grace), UseManifestFileShim: r.UseManifestShim,
		ResourceID: r.ID, Owner: string(r.Owner), MaxRecipients: r.MaxRecipients, RecipientsSeeEachOther: r.RecipientsSeeEachOther,
		VirusScan: string(r.VirusScan), Suppliers: string(r.Suppliers), Closed: utc(r.Closed), Created: r.Created.UTC(), Updated: r.Updated.UTC(),
		LoginMethods: texts(r.LoginMethods), AcceptedSuppliers: texts(r.AcceptedSuppliers),
		ConfirmationReminders: models.ISODurations(r.ConfirmationReminders),
		ComputeMd5:            r.ComputeMD5,
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

// given tells a list that was sent, even an empty one, from none.
func given(list []string) *[]string {
	if list == nil {
		return nil
	}
	return &list
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}
