package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// GetFileTransfer answers with the state of a transfer (docs/reference/altinn-broker.md 1.3, overview).
func (s *Server) GetFileTransfer(c *gin.Context, id contract.FileTransferID) {
	v, err := s.Views.TransferDetails(c.Request.Context(), id, web.Caller(c))
	v, err = s.sight.show(c.Request.Context(), v, web.Actor(c), err)
	if err != nil {
		web.Problem(c, err)
		return
	}
	c.JSON(http.StatusOK, contract.FileTransferOverview{FileTransferState: stateOf(v), Published: web.UTC(v.Published)})
}

// GetFileTransferDetails answers with the state and its history, oldest first (docs/reference/altinn-broker.md 1.3, details).
func (s *Server) GetFileTransferDetails(c *gin.Context, id contract.FileTransferID) {
	v, err := s.Views.TransferDetails(c.Request.Context(), id, web.Caller(c))
	v, err = s.sight.show(c.Request.Context(), v, web.Actor(c), err)
	if err != nil {
		web.Problem(c, err)
		return
	}
	out := contract.FileTransferDetails{FileTransferState: stateOf(v)}
	for i, r := range v.Recipients {
		if by := web.Caller(c); by == v.Sender || by == r.Party { // of nobody else's business
			out.Recipients[i].BytesServed, out.Recipients[i].DownloadComplete = &v.Recipients[i].BytesServed, &v.Recipients[i].Complete
		}
	}
	for _, h := range v.History {
		text := h.Text
		if text == "" {
			text = h.Status.Text()
		}
		out.FileTransferStatusHistory = append(out.FileTransferStatusHistory, contract.FileTransferStatusEvent{
			FileTransferStatus: contract.FileTransferStatus(h.Status.String()), FileTransferStatusText: text, FileTransferStatusChanged: h.At.UTC(),
		})
	}
	out.RecipientFileTransferStatusHistory = recipientHistory(v)
	c.JSON(http.StatusOK, out)
}

// recipientHistory lists the steps of all recipients in the order in which they were taken.
func recipientHistory(v models.TransferView) []contract.RecipientFileTransferStatusEvent {
	out := make([]contract.RecipientFileTransferStatusEvent, 0, len(v.Recipients))
	for _, h := range v.RecipientHistory() {
		out = append(out, contract.RecipientFileTransferStatusEvent{
			Recipient: h.Party, RecipientFileTransferStatusChanged: h.Changed.UTC(),
			RecipientFileTransferStatusCode: contract.RecipientFileTransferStatus(h.Status.String()), RecipientFileTransferStatusText: h.Status.Text(),
		})
	}
	return out
}

func stateOf(v models.TransferView) contract.FileTransferState {
	out := contract.FileTransferState{
		FileTransferID: v.ID, ResourceID: v.ResourceID, FileName: v.FileName, SendersFileTransferReference: v.SendersReference,
		Checksum: either(v.ContentMD5, v.DeclaredMD5), Sha256: either(v.ContentSHA256, v.DeclaredSHA256),
		UseVirusScan: false, FileTransferSize: v.ContentSize,
		FileTransferStatus: contract.FileTransferStatus(v.EffectiveStatus.String()), FileTransferStatusText: v.CurrentText(),
		FileTransferStatusChanged: v.EffectiveSince.UTC(), Created: v.Created.UTC(), ExpirationTime: v.Expires.UTC(),
		Sender: v.SenderAsGiven, PropertyList: contract.PropertyList(v.PropertyList), Recipients: make([]contract.RecipientOverview, len(v.Recipients)),
	}
	for i, r := range v.Recipients {
		out.Recipients[i] = contract.RecipientOverview{
			Recipient:                              r.AsGiven,
			CurrentRecipientFileTransferStatusCode: contract.RecipientFileTransferStatus(r.Status().String()),
			CurrentRecipientFileTransferStatusText: r.Status().Text(), CurrentRecipientFileTransferStatusChanged: r.Changed().UTC(),
		}
	}
	return out
}

// either is what was measured, or until then what was declared, or null.
func either(measured, declared string) *string {
	switch {
	case measured != "":
		return &measured
	case declared != "":
		return &declared
	}
	return nil
}
