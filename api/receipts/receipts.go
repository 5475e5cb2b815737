package receipts

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// ListTransferReceipts answers with a transfer's receipts, for programs or for people.
func (h *Handler) ListTransferReceipts(c *gin.Context, id contract.FileTransferID, params contract.ListTransferReceiptsParams) {
	rows, p, err := h.receiptsOf(c, id, params)
	switch {
	case err != nil:
		web.Problem(c, err)
	case strings.Contains(c.GetHeader("Accept"), "text/html"):
		h.receiptPage(c, id, rows, p)
	default:
		h.receiptList(c, rows, p.Limit, func(last models.IssuedReceipt) string { return strconv.Itoa(last.Seq) })
	}
}

func (h *Handler) receiptsOf(c *gin.Context, id contract.FileTransferID, params contract.ListTransferReceiptsParams) ([]models.IssuedReceipt, web.Page, error) {
	p, err := web.PageOf(nil, params.Limit)
	if err == nil && web.Value(params.After) < 0 {
		err = models.InvalidField("after", "after must be a sequence number, 0 or more.")
	}
	var withheld models.Role
	if err == nil {
		withheld, err = h.mayReadReceipts(c, id)
	}
	if err != nil {
		return nil, p, err
	}
	if withheld == models.RoleSender {
		rows, err := h.Receipts.ReceivedReceipts(c.Request.Context(), id, web.Caller(c), web.Value(params.After), p.Limit+1)
		return rows, p, err
	}
	_, rows, err := h.Receipts.ReceiptsOf(c.Request.Context(), id, web.Caller(c), web.Value(params.After), p.Limit+1)
	return rows, p, err
}

// mayReadReceipts hides a transfer from suppliers that may not look at it; who is a party the store knows, also of a
// submission that was refused and so is no transfer. It returns the role that is withheld from a supplier.
func (h *Handler) mayReadReceipts(c *gin.Context, id uuid.UUID) (withheld models.Role, err error) {
	if h.Receipts == nil {
		return "", models.ErrNoSuchRoute
	}
	if web.Actor(c).Supplier == "" {
		return "", nil
	}
	v, err := h.Sight.Look(c.Request.Context(), id, web.Actor(c))
	return v.Withheld, err
}

// ListReceipts answers with the receipts of all transfers of the caller, in the order of the log.
func (h *Handler) ListReceipts(c *gin.Context, params contract.ListReceiptsParams) {
	q := models.ReceiptQuery{Caller: web.Caller(c), Reference: params.SendersFileTransferReference, After: -1}
	p, err := web.PageOf(nil, params.Limit)
	switch {
	case err == nil && h.Receipts == nil:
		err = models.ErrNoSuchRoute
	case err == nil && params.After != nil && *params.After < 0:
		err = models.InvalidField("after", "after must be a place in the log, 0 or more.")
	}
	if params.After != nil {
		q.After = *params.After
	}
	var rows []models.IssuedReceipt
	if err == nil {
		q.Limit = p.Limit + 1
		rows, err = h.Receipts.ListReceipts(c.Request.Context(), q)
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	h.receiptList(c, rows, p.Limit, func(last models.IssuedReceipt) string { return strconv.FormatInt(*last.Leaf, 10) })
}

// receiptList writes a page, and where the next one is.
func (h *Handler) receiptList(c *gin.Context, rows []models.IssuedReceipt, limit int, place func(models.IssuedReceipt) string) {
	if len(rows) > limit {
		rows = rows[:limit]
		web.Link(c, web.Next(c, "after", place(rows[limit-1])))
	}
	out := contract.ReceiptList{Receipts: make([]contract.TransferReceipt, 0, len(rows))}
	for _, r := range rows {
		one, err := receiptView(r)
		if err != nil {
			web.Problem(c, err)
			return
		}
		out.Receipts = append(out.Receipts, one)
	}
	c.JSON(http.StatusOK, out)
}

func receiptView(r models.IssuedReceipt) (contract.TransferReceipt, error) {
	said, err := models.ReadReceipt(r.JWS)
	if err != nil {
		return contract.TransferReceipt{}, fmt.Errorf("receipt %d of %s: %w", r.Seq, r.TransferID, err)
	}
	out := contract.TransferReceipt{FileTransferID: r.TransferID, Seq: r.Seq, Event: said.Event.Name(), Leaf: r.Leaf, Sha256: r.Hash, Jws: r.JWS}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(r.JWS, ".")[1]) // ReadReceipt read it
	if err == nil {
		err = json.Unmarshal(payload, &out.Receipt)
	}
	return out, err
}

// GetReceiptBundle answers with all that is needed to check a transfer's receipts without asking anybody.
func (h *Handler) GetReceiptBundle(c *gin.Context, id contract.FileTransferID) {
	withheld, err := h.mayReadReceipts(c, id)
	switch {
	case err != nil:
	case h.Evidence == nil:
		err = models.ErrNoReceiptKeys
	case withheld == models.RoleSender: // the bundle of one that is both is the sender's
		err = models.ErrNoAccess
	}
	var b models.ReceiptBundle
	if err == nil {
		b, err = h.Evidence.Bundle(c.Request.Context(), id, web.Caller(c))
	}
	web.Finish(c, err, func() { c.JSON(http.StatusOK, b) })
}
