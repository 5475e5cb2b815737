package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the attacker's way into the database
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
)

func TestReceiptKeys_AreMadeOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys", "receipt-keys.json")
	require.Zero(t, testenv.Run(t, "formidling", nil, "receipt-keys", file).Wait())
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 1, testenv.Run(t, "formidling", nil, "receipt-keys", file).Wait())
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// installReceipted is an installation whose receipts are signed and logged.
func installReceipted(t *testing.T) *installation {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "receipt-keys.json")
	require.Zero(t, testenv.Run(t, "formidling", nil, "receipt-keys", keys).Wait())
	i := installWith(t, "FORMIDLING_RECEIPT_KEYS="+keys, "FORMIDLING_LOG_INTERVAL=PT0.2S")
	i.makeService()
	return i
}

type receiptList struct {
	Receipts []struct {
		FileTransferID string
		Event          string
		Leaf           *int64
	}
}

func (i *installation) receipts(path string) receiptList {
	i.t.Helper()
	var list receiptList
	status, raw := i.ask(testSender, "GET", path, nil)
	require.Equal(i.t, http.StatusOK, status, string(raw))
	require.NoError(i.t, json.Unmarshal(raw, &list))
	return list
}

// logged waits until all of a transfer's receipts are in the log, and returns its bundle in a file.
func (i *installation) logged(id string, atLeast int) string {
	i.t.Helper()
	require.Eventually(i.t, func() bool {
		list := i.receipts("/filetransfer/" + id + "/receipts")
		for _, r := range list.Receipts {
			if r.Leaf == nil {
				return false
			}
		}
		return len(list.Receipts) >= atLeast
	}, 60*time.Second, 100*time.Millisecond)
	status, raw := i.ask(testSender, "GET", "/filetransfer/"+id+"/receipts/bundle", nil)
	require.Equal(i.t, http.StatusOK, status, string(raw))
	file := filepath.Join(i.t.TempDir(), "bundle.json")
	require.NoError(i.t, os.WriteFile(file, raw, 0o600))
	return file
}

func (i *installation) get(path string) string {
	i.t.Helper()
	response, err := http.Get(i.url + path)
	require.NoError(i.t, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	require.NoError(i.t, err)
	require.Equal(i.t, http.StatusOK, response.StatusCode, string(raw))
	file := filepath.Join(i.t.TempDir(), "answer")
	require.NoError(i.t, os.WriteFile(file, raw, 0o600))
	return file
}

// Killed between any two steps, no receipt is missing, and none is there twice.
func TestReceipts_AreWholeWhateverIsKilled(t *testing.T) {
	t.Parallel()
	i := installReceipted(t)
	stop := make(chan struct{})
	killed := make(chan struct{})
	go func() { // as often as it can start again
		defer close(killed)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(1500+300*(n%5)) * time.Millisecond):
			}
			i.worker.Kill()
			i.startWorker()
		}
	}()
	var ids []string
	for n := range 4 {
		key := fmt.Sprint("k", n)
		id := ""
		require.Eventually(t, func() bool {
			status, raw := i.ask(testSender, "POST", "/filetransfer", strings.NewReader(i.draft()), "Idempotency-Key", key)
			var out struct{ FileTransferID string }
			_ = json.Unmarshal(raw, &out)
			id = out.FileTransferID
			return status == http.StatusOK
		}, 60*time.Second, 100*time.Millisecond)
		require.Eventually(t, func() bool {
			status, _ := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("content"), "Content-Type", octets, "Idempotency-Key", key)
			return status == http.StatusOK
		}, 60*time.Second, 100*time.Millisecond)
		i.becomes(id, "Published")
		for _, r := range testRecipients {
			_, _ = i.ask(r, "GET", "/filetransfer/"+id+"/download", nil)
			require.Eventually(t, func() bool {
				status, _ := i.ask(r, "POST", "/filetransfer/"+id+"/confirmdownload", nil)
				return status == http.StatusNoContent
			}, 60*time.Second, 100*time.Millisecond)
		}
		ids = append(ids, id)
	}
	close(stop)
	<-killed
	keys := i.get("/receipts/api/v1/jwks")
	for _, id := range ids {
		i.becomes(id, "Purged")
		bundle := i.logged(id, 9) // authorization, acceptance, 2 × (consignment, handover, confirmation), purge
		count := map[string]int{}
		for _, r := range i.receipts("/filetransfer/" + id + "/receipts").Receipts {
			count[r.Event]++
		}
		require.Equal(t, map[string]int{
			"TransferAuthorization": 1, "SubmissionAcceptance": 1, "ContentConsignment": 2, "ContentHandover": 2, "ContentAccessTracking": 2, "ContentPurge": 1,
		}, count)
		verify := testenv.Run(t, "formidling", nil, "receipt", "verify", bundle, "--keys", keys)
		require.Zero(t, verify.Wait())
		require.Contains(t, verify.Out.String(), "All of it is valid.")
	}
}

func TestReceiptVerify_FailsForACutBundleAndAuditVerifyForACutDatabase(t *testing.T) {
	t.Parallel()
	i := installReceipted(t)
	id := i.initialize()
	status, _ := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("content"), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status)
	i.deliver(id, "content")
	i.becomes(id, "Purged")
	file := i.logged(id, 9)

	status, _ = i.ask(testStranger, "POST", "/filetransfer", strings.NewReader(strings.ReplaceAll(i.draft(), string(testSender), string(testStranger))))
	require.Equal(t, http.StatusUnauthorized, status)
	require.Eventually(t, func() bool { // refused after identification: the stranger has its receipt too
		_, raw := i.ask(testStranger, "GET", "/receipts?sendersFileTransferReference=r", nil)
		return strings.Contains(string(raw), "SubmissionRejection")
	}, 30*time.Second, 100*time.Millisecond)

	whole := testenv.Run(t, "formidling", nil, "receipt", "verify", file, "--keys", i.get("/receipts/api/v1/jwks"))
	require.Zero(t, whole.Wait())
	require.Contains(t, whole.Out.String(), "All of it is valid.")
	whole = testenv.Run(t, "formidling", nil, "receipt", "verify", file) // with the keys that it brings itself
	require.Equal(t, 3, whole.Wait())
	require.Contains(t, whole.Out.String(), "All of it is consistent.")
	require.NotContains(t, whole.Out.String(), "valid")

	cutTo(t, file, 8)
	verify := testenv.Run(t, "formidling", nil, "receipt", "verify", file)
	require.Equal(t, 1, verify.Wait())
	require.Contains(t, verify.Out.String(), "8 receipts are here, and 9 were stated")

	db, err := sql.Open("pgx", i.postgres.URL("postgres"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.Eventually(t, func() bool { // all that has a place in the log is signed
		var leaves, signed int64
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT (SELECT size FROM log_states), (SELECT coalesce(max(size), 0) FROM log_checkpoints)").Scan(&leaves, &signed))
		return leaves == signed
	}, 30*time.Second, 20*time.Millisecond)
	i.worker.Kill() // or it may seal more after this checkpoint
	kept := i.get("/receipts/api/v1/checkpoint")
	audit := func(args ...string) (int, string) {
		r := testenv.Run(t, "formidling", i.env, append([]string{"audit", "verify"}, args...)...)
		return r.Wait(), r.Out.String()
	}
	code, said := audit("--checkpoint", kept)
	require.Zero(t, code, said)
	require.Contains(t, said, "The log is whole")
	i.api.Kill()
	takeNewestLeafBack(t, db)
	code, said = audit("--checkpoint", kept)
	require.Equal(t, 1, code, said)
	require.Contains(t, said, "the log was cut")
}

// cutTo leaves the first receipts of a bundle in its file.
func cutTo(t *testing.T, file string, receipts int) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var b map[string]any
	require.NoError(t, json.Unmarshal(raw, &b))
	b["receipts"] = b["receipts"].([]any)[:receipts]
	raw, err = json.Marshal(b)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, raw, 0o600))
}

// takeNewestLeafBack does what the owner of the database can: it deletes the newest leaf of the log, and everything that
// tells of it.
func takeNewestLeafBack(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, table := range []string{"log_leaves", "log_checkpoints", "signed_receipts", "audit_entries"} {
		_, err := db.ExecContext(t.Context(), "ALTER TABLE "+table+" DISABLE TRIGGER ALL")
		require.NoError(t, err)
	}
	for _, cut := range []string{
		"DELETE FROM log_checkpoints WHERE size = (SELECT size FROM log_states)",
		"UPDATE log_states SET size = size - 1",
		"DELETE FROM signed_receipts r USING log_leaves l WHERE l.idx = (SELECT max(idx) FROM log_leaves) AND l.subject = r.transfer_id::text AND l.seq = r.seq",
		"UPDATE receipt_chains c SET signed = l.seq - 1, last = l.seq - 1, head = coalesce((SELECT hash FROM signed_receipts r WHERE r.transfer_id = c.transfer_id AND r.seq = l.seq - 1), '')" +
			" FROM log_leaves l WHERE l.idx = (SELECT max(idx) FROM log_leaves) AND l.subject = c.transfer_id::text",
		"DELETE FROM log_leaves WHERE idx = (SELECT max(idx) FROM log_leaves)",
	} {
		_, err := db.ExecContext(t.Context(), cut)
		require.NoError(t, err, cut)
	}
}
