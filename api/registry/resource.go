package registry

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// GetResource answers with the policy of a service of the caller (docs/reference/altinn-broker.md 1.5).
func (h *Handler) GetResource(c *gin.Context, id contract.ResourceID) {
	err := models.CheckResourceID(id)
	var r models.Resource
	if err == nil {
		r, err = h.Services.ResourceByID(c.Request.Context(), models.ResourceID(id))
	}
	if err == nil && r.Owner != web.Caller(c) {
		err = models.ErrNoAccess
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	web.Entry(c, http.StatusOK, r.Version, resourceOf(r))
}

// PutResource makes a service of the caller, or changes the fields that are given (docs/reference/altinn-broker.md 1.5). Altinn's clients
// know no conditions: the fields that they know may be changed without one. Who sends one is heeded.
func (h *Handler) PutResource(c *gin.Context, id contract.ResourceID, params contract.PutResourceParams) {
	var body contract.ResourceUpdate
	resource, err := service(id)
	if err == nil {
		err = web.ReadJSON(c, &body, false)
	}
	var cond models.Condition
	patch := patchOf(body)
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
		cond.Unconditional = params.IfMatch == nil && params.IfNoneMatch == nil && patch.OfReference()
	}
	if err == nil && web.Value(body.VirusScan) == string(models.ScanRequired) {
		err = models.InvalidField("virusScan", "This installation has no virus scanner.")
	}
	h.putResource(c, resource, patch, cond, err)
}

// CloseResource lets a service of the caller take no new transfers.
func (h *Handler) CloseResource(c *gin.Context, id contract.ResourceID, params contract.CloseResourceParams) {
	resource, err := service(id)
	var cond models.Condition
	if err == nil {
		cond, err = web.Condition(params.IfMatch, params.IfNoneMatch)
	}
	if err == nil { // it must exist: a PUT would make it
		_, err = h.Services.ResourceByID(c.Request.Context(), resource)
	}
	h.putResource(c, resource, models.ResourcePatch{Closed: web.Ref(true)}, cond, err)
}

func (h *Handler) putResource(c *gin.Context, resource string, patch models.ResourcePatch, cond models.Condition, err error) {
	var r models.Resource
	if err == nil {
		r, err = h.Services.PutResource(c.Request.Context(), web.Actor(c), resource, patch, cond)
	}
	web.Finish(c, err, func() {
		c.Header("ETag", web.Tag(r.Version))
		c.Status(http.StatusNoContent)
	})
}

// ListResources lists the services of the caller.
func (h *Handler) ListResources(c *gin.Context, params contract.ListResourcesParams) {
	p, err := web.PageOf(params.Cursor, params.Limit)
	var rows []models.Resource
	if err == nil {
		rows, err = h.Services.ResourcesOf(c.Request.Context(), web.Caller(c), p.After, p.Limit+1)
	}
	web.Finish(c, err, func() {
		rows, next := web.Cut(c, rows, p, func(r models.Resource) string { return r.ID })
		out := contract.ResourceList{Resources: make([]contract.Resource, len(rows))}
		for i, r := range rows {
			out.Resources[i] = resourceOf(r)
		}
		web.Link(c, next)
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
		VirusScan: string(r.VirusScan), Suppliers: string(r.Suppliers), Closed: web.UTC(r.Closed), Created: r.Created.UTC(), Updated: r.Updated.UTC(),
		LoginMethods: web.Texts(r.LoginMethods), AcceptedSuppliers: web.Texts(r.AcceptedSuppliers),
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
		out.RequiredParty = web.Ref(string(r.RequiredParty))
	}
	return out
}

// given tells a list that was sent, even an empty one, from none.
func given(list []string) *[]string {
	if list == nil {
		return nil
	}
	return &list
}
