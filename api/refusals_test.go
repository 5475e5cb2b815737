package api

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

func TestInitialize_OfWhoIsRefusedVeryOftenNeedsNoWorkflow(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	quotas := models.DefaultQuotas()
	quotas.Refusals = 2
	bounded, err := store.Open(r.database, store.Options{Quotas: &quotas})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bounded.Close()) })
	r.server.Receipts = bounded
	wrong := draft()
	wrong["recipients"] = []any{bob, mallory}
	submit := func(d map[string]any) reply { return r.call(alice, "POST", "/filetransfer", toJSON(t, d)) }
	before := submit(wrong).is(http.StatusBadRequest, "BRO-00028").problem()

	for range 2 {
		sub := models.Submission{ID: uuid.New(), ResourceID: svc, Sender: models.Addressee{Party: alice}}
		_, err := bounded.RecordRefusal(t.Context(), sub, "run", models.ReceiptReason{Code: "BRO-00028"})
		require.NoError(t, err)
	}
	r.door.set(models.ErrUnavailable) // whoever reaches a workflow is told so
	after := submit(wrong).is(http.StatusBadRequest, "BRO-00028").problem()
	before.TraceID, after.TraceID = "", ""
	require.Equal(t, before, after, "in the same words")
	unknown := draft()
	unknown["resourceId"] = "unknown"
	submit(unknown).is(http.StatusUnauthorized, "BRO-00006")
	submit(draft()).is(http.StatusServiceUnavailable, "")
	r.door.set(nil)
	submit(draft()).is(http.StatusOK, "")
}
