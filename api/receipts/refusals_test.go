package receipts_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

func TestInitialize_OfWhoIsRefusedVeryOftenNeedsNoWorkflow(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	quotas := models.DefaultQuotas()
	quotas.Refusals = 2
	bounded, err := store.Open(r.Database, store.Options{Quotas: &quotas})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bounded.Close()) })
	r.Restart(func(s *apitest.Config) { s.Receipts = bounded })
	wrong := apitest.Draft()
	wrong["recipients"] = []any{bob, mallory}
	submit := func(d map[string]any) apitest.Reply {
		return r.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, d))
	}
	before := submit(wrong).Is(http.StatusBadRequest, "BRO-00028").Problem()

	for range 2 {
		sub := models.Submission{ID: uuid.New(), ResourceID: svc, Sender: models.Addressee{Party: alice}}
		_, err := bounded.RecordRefusal(t.Context(), sub, "run", models.ReceiptReason{Code: "BRO-00028"})
		require.NoError(t, err)
	}
	r.Workflows.SetDown(models.ErrUnavailable) // whoever reaches a workflow is told so
	after := submit(wrong).Is(http.StatusBadRequest, "BRO-00028").Problem()
	before.TraceID, after.TraceID = "", ""
	require.Equal(t, before, after, "in the same words")
	unknown := apitest.Draft()
	unknown["resourceId"] = "unknown"
	submit(unknown).Is(http.StatusUnauthorized, "BRO-00006")
	submit(apitest.Draft()).Is(http.StatusServiceUnavailable, "")
	r.Workflows.SetDown(nil)
	submit(apitest.Draft()).Is(http.StatusOK, "")
}
