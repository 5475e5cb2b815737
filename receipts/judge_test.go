package receipts_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// A judge that others wrote, the npm package jose, reads our key set over HTTP and verifies receipts with it.
func TestReceipts_AreVerifiedByJose(t *testing.T) {
	t.Parallel()
	b := setup(t, sqlite(t))
	id := b.live()
	b.seal()
	_, rows, err := b.ReceiptsOf(t.Context(), id, alice, 0, 10)
	require.NoError(t, err)
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(b.keys.KeySet())
	}))
	defer published.Close()
	asked := []string{published.URL}
	for _, r := range rows {
		asked = append(asked, r.JWS)
	}
	parts := strings.Split(rows[1].JWS, ".")
	asked = append(asked, parts[0]+"."+strings.Split(rows[2].JWS, ".")[1]+"."+parts[2]) // a signature of another receipt
	cmd := exec.CommandContext(t.Context(), "node", "testdata/judge/judge.mjs")
	cmd.Stdin = strings.NewReader(strings.Join(asked, "\n"))
	var failed strings.Builder
	cmd.Stderr = &failed
	out, err := cmd.Output()
	require.NoError(t, err, "%s\nIs Node.js there, with the judge's packages? Run scripts/ensure-node receipts/testdata/judge", &failed)
	verdicts := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, verdicts, len(rows)+1)
	for i, r := range rows {
		var v struct {
			Typ     string
			Payload models.Receipt
		}
		require.NoError(t, json.Unmarshal([]byte(verdicts[i]), &v), verdicts[i])
		require.Equal(t, "receipt+jws", v.Typ, verdicts[i])
		require.Equal(t, r.Seq, v.Payload.Seq)
		require.Equal(t, id, v.Payload.Transfer)
	}
	require.Contains(t, verdicts[len(rows)], "ERR_JWS_SIGNATURE_VERIFICATION_FAILED")
}
