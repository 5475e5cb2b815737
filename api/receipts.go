package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Receipts is what was receipted and what happened, and takes what parties say.
type Receipts interface {
	State(ctx context.Context, st models.Statement) error
	ReceiptsOf(ctx context.Context, transfer uuid.UUID, viewer models.Party, after, limit int) (models.ReceiptChain, []models.IssuedReceipt, error)
	ListReceipts(ctx context.Context, q models.ReceiptQuery) ([]models.IssuedReceipt, error)
	ReceivedReceipts(ctx context.Context, transfer uuid.UUID, viewer models.Party, after, limit int) ([]models.IssuedReceipt, error)
	TimelineFor(ctx context.Context, transfer uuid.UUID, q models.TimelineQuery) (models.TimelineView, []models.TimelineEntry, error)
	RefusedTooOften(ctx context.Context, p models.Party) (bool, error)
}

// Evidence is what anybody can check without us: bundles, keys, the log.
type Evidence interface {
	Bundle(ctx context.Context, transfer uuid.UUID, viewer models.Party) (models.ReceiptBundle, error)
	KeySet() jose.JSONWebKeySet
	Checkpoint(ctx context.Context) (string, error)
	Inclusion(ctx context.Context, sha256 string) (models.LogLeaf, string, []string, error)
	Consistency(ctx context.Context, size int64) (checkpoint string, proof []string, err error)
	Tile(ctx context.Context, path string) ([]byte, error)
}

// Proofs checks signatures that parties made with their own certificates.
type Proofs interface {
	CheckProof(p models.Party, detached string, payload []byte) error
}

// ListTransferReceipts answers with a transfer's receipts, for programs or for people.
func (s *Server) ListTransferReceipts(c *gin.Context, id contract.FileTransferID, params contract.ListTransferReceiptsParams) {
	rows, p, err := s.receiptsOf(c, id, params)
	switch {
	case err != nil:
		s.problem(c, err)
	case strings.Contains(c.GetHeader("Accept"), "text/html"):
		s.receiptPage(c, id, rows, p)
	default:
		s.receiptList(c, rows, p.limit, func(last models.IssuedReceipt) string { return strconv.Itoa(last.Seq) })
	}
}

func (s *Server) receiptsOf(c *gin.Context, id contract.FileTransferID, params contract.ListTransferReceiptsParams) ([]models.IssuedReceipt, page, error) {
	p, err := pageOf(nil, params.Limit)
	if err == nil && value(params.After) < 0 {
		err = models.InvalidField("after", "after must be a sequence number, 0 or more.")
	}
	var withheld models.Role
	if err == nil {
		withheld, err = s.mayReadReceipts(c, id)
	}
	if err != nil {
		return nil, p, err
	}
	if withheld == models.RoleSender {
		rows, err := s.Receipts.ReceivedReceipts(c.Request.Context(), id, caller(c), value(params.After), p.limit+1)
		return rows, p, err
	}
	_, rows, err := s.Receipts.ReceiptsOf(c.Request.Context(), id, caller(c), value(params.After), p.limit+1)
	return rows, p, err
}

// mayReadReceipts hides a transfer from suppliers that may not look at it; who is a party the store knows, also of a
// submission that was refused and so is no transfer. It returns the role that is withheld from a supplier.
func (s *Server) mayReadReceipts(c *gin.Context, id uuid.UUID) (withheld models.Role, err error) {
	if s.Receipts == nil {
		return "", errNoRoute
	}
	if actor(c).Supplier == "" {
		return "", nil
	}
	v, err := s.look(c.Request.Context(), id, actor(c))
	return v.Withheld, err
}

// ListReceipts answers with the receipts of all transfers of the caller, in the order of the log.
func (s *Server) ListReceipts(c *gin.Context, params contract.ListReceiptsParams) {
	q := models.ReceiptQuery{Caller: caller(c), Reference: params.SendersFileTransferReference, After: -1}
	p, err := pageOf(nil, params.Limit)
	switch {
	case err == nil && s.Receipts == nil:
		err = errNoRoute
	case err == nil && params.After != nil && *params.After < 0:
		err = models.InvalidField("after", "after must be a place in the log, 0 or more.")
	}
	if params.After != nil {
		q.After = *params.After
	}
	var rows []models.IssuedReceipt
	if err == nil {
		q.Limit = p.limit + 1
		rows, err = s.Receipts.ListReceipts(c.Request.Context(), q)
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	s.receiptList(c, rows, p.limit, func(last models.IssuedReceipt) string { return strconv.FormatInt(*last.Leaf, 10) })
}

// receiptList writes a page, and where the next one is.
func (s *Server) receiptList(c *gin.Context, rows []models.IssuedReceipt, limit int, place func(models.IssuedReceipt) string) {
	if len(rows) > limit {
		rows = rows[:limit]
		next := *c.Request.URL
		values := next.Query()
		values.Set("after", place(rows[limit-1]))
		next.RawQuery = values.Encode()
		link(c, next.RequestURI())
	}
	out := contract.ReceiptList{Receipts: make([]contract.TransferReceipt, 0, len(rows))}
	for _, r := range rows {
		one, err := receiptView(r)
		if err != nil {
			s.problem(c, err)
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
func (s *Server) GetReceiptBundle(c *gin.Context, id contract.FileTransferID) {
	withheld, err := s.mayReadReceipts(c, id)
	switch {
	case err != nil:
	case s.Evidence == nil:
		err = models.ErrNoReceiptKeys
	case withheld == models.RoleSender: // the bundle of one that is both is the sender's
		err = models.ErrNoAccess
	}
	var b models.ReceiptBundle
	if err == nil {
		b, err = s.Evidence.Bundle(c.Request.Context(), id, caller(c))
	}
	s.finish(c, err, func() { c.JSON(http.StatusOK, b) })
}

// GetTimeline answers with all that happened to a transfer.
func (s *Server) GetTimeline(c *gin.Context, id contract.FileTransferID, params contract.GetTimelineParams) {
	place, limit, err := timelinePage(params)
	var withheld models.Role
	if err == nil {
		withheld, err = s.mayReadReceipts(c, id)
	}
	var entries []models.TimelineEntry
	if err == nil {
		q := models.TimelineQuery{Viewer: caller(c), Withheld: withheld, From: place, Limit: limit + 1}
		_, entries, err = s.Receipts.TimelineFor(c.Request.Context(), id, q)
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	if len(entries) > limit {
		entries = entries[:limit]
		next := *c.Request.URL
		values := next.Query()
		values.Set("cursor", timelineCursor(place.Behind(entries)))
		next.RawQuery = values.Encode()
		link(c, next.RequestURI())
	}
	out := contract.Timeline{Entries: make([]contract.TimelineEntry, 0, len(entries))}
	for _, e := range entries {
		out.Entries = append(out.Entries, contract.TimelineEntry{
			At: e.At, Kind: contract.TimelineEntryKind(e.Kind), What: e.What, Actor: partyOrNull(e.Actor), Recipient: partyOrNull(e.Recipient), Cause: e.Cause,
			Supplier: partyOrNull(e.Supplier), Login: textOrNull(string(e.Login)), Thumbprint: textOrNull(e.Thumbprint),
		})
	}
	c.JSON(http.StatusOK, out)
}

func partyOrNull(p models.Party) *string { return textOrNull(string(p)) }

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
