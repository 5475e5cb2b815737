package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// The sender and the recipient sign for a file with one flag each, and anybody verifies it offline.
func TestClientCommands_SignForWhatTheySendAndReceive(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := d.file("signed.txt", []byte("what I sent"))
	id := d.ok(d.as(deskSender), "send", file, "--to", deskRecipient, "--proof", "--quiet")
	d.ok(d.as(deskRecipient), "receive", id, "--out", filepath.Join(d.dir, "in"), "--confirm", "--proof", "--quiet")
	piped, complaint, code := d.run(d.as(deskSender), strings.NewReader("from a pipe"), "send", "-", "--name", "p", "--to", deskRecipient, "--proof", "--quiet")
	require.Zero(t, code, complaint)
	d.ok(d.as(deskRecipient), "receive", strings.TrimSpace(piped), "--out", "-", "--confirm", "--proof", "--quiet")

	for id, proofs := range map[string]int{id: 3, strings.TrimSpace(piped): 2} {
		bundle := filepath.Join(d.dir, id+".json")
		require.Eventually(t, func() bool { return d.takeBundle(id, bundle) == proofs }, 30*time.Second, 100*time.Millisecond)
		out, complaint, code := d.run(d.as(deskSender), nil, "receipt", "verify", bundle)
		require.Equal(t, 3, code, complaint)
		require.Equal(t, proofs, strings.Count(out, "itself signed for the content"), out)
	}
	for name, args := range map[string][]string{
		"undeclared":      {"send", file, "--to", deskRecipient, "--proof", "--undeclared"},
		"not confirmed":   {"receive", id, "--proof"},
		"mixed":           {"receipt", "prove", d.broker.Certificate(deskSender), "--transfer", id, "--service", "s", "--sha256", strings.Repeat("0", 64)},
		"nothing to sign": {"receipt", "prove", d.broker.Certificate(deskSender), "--sha256", strings.Repeat("0", 64)},
		"no recipients":   {"receipt", "prove", d.broker.Certificate(deskSender), "--service", "s", "--reference", "r", "--sha256", strings.Repeat("0", 64)},
	} {
		_, complaint, code := d.run(d.as(deskSender), nil, args...)
		require.NotZero(t, code, name)
		require.NotEmpty(t, complaint, name)
	}
	_, complaint, code = d.run(append(d.env, "FORMIDLING_TOKEN=x"), nil, "send", file, "--to", deskRecipient, "--proof")
	require.Equal(t, 2, code)
	require.Contains(t, complaint, "FORMIDLING_CERTIFICATE")
}

// takeBundle writes the sender's bundle of a transfer into a file, and tells how many proofs are in it.
func (d *desk) takeBundle(id, path string) int {
	d.t.Helper()
	var out struct{ Proofs []json.RawMessage }
	response, err := d.sdk(deskSender).API.GetReceiptBundle(d.t.Context(), uuid.MustParse(id))
	require.NoError(d.t, err)
	raw, err := io.ReadAll(response.Body)
	require.NoError(d.t, err)
	require.NoError(d.t, response.Body.Close())
	require.Equal(d.t, http.StatusOK, response.StatusCode, string(raw))
	require.NoError(d.t, json.Unmarshal(raw, &out))
	require.NoError(d.t, os.WriteFile(path, raw, 0o600))
	return len(out.Proofs)
}
