package receipts_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/receipts"
	"github.com/formidling/formidling/store"
)

// receipted is a bundle that issues receipts.
type receipted struct {
	*apitest.Bundle
	keys   *receipts.Keys
	Issuer *receipts.Issuer
	log    *receipts.Log
	pki    *testpki.PKI
}

func setupReceipts(t *testing.T) *receipted {
	t.Helper()
	r := &receipted{}
	keys, err := receipts.MakeKeys(filepath.Join(t.TempDir(), "keys.json"))
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "pki")
	r.pki, err = testpki.Open(dir, time.Now())
	require.NoError(t, err)
	trust, err := identity.LoadTrust(filepath.Join(dir, "trust.json"), identity.TrustOptions{})
	require.NoError(t, err)
	require.NoError(t, trust.Refresh(t.Context()))
	r.Bundle = apitest.Setup(t, func(s *apitest.Config) {
		db, files := s.Views.(*store.Store), s.Contents.(objects.Store)
		r.keys = keys
		r.Issuer = &receipts.Issuer{Chains: db, Keys: keys, Name: "https://broker.example.no", Log: slog.New(slog.DiscardHandler)}
		r.log = &receipts.Log{Leaves: db, Tiles: files, Keys: keys, Name: r.Issuer.Name}
		s.Receipts, s.Proofs = db, trust
		s.Evidence = &receipts.Evidence{Bundler: receipts.Bundler{Archive: db, Log: r.log, Keys: keys, Name: r.Issuer.Name, Now: time.Now}, Finder: db}
	})
	return r
}

// settle does what the log's workflow does from time to time.
func (r *receipted) settle() {
	r.T.Helper()
	require.NoError(r.T, r.Issuer.Settle(r.T.Context(), time.Minute))
	require.NoError(r.T, r.log.SealFor(r.T.Context(), time.Minute))
}

// events settles, and names the receipts that somebody sees.
func (r *receipted) events(by models.Party, id string) []string {
	r.T.Helper()
	r.settle()
	var list contract.ReceiptList
	r.Call(by, "GET", "/filetransfer/"+id+"/receipts", "").Is(http.StatusOK, "").JSON(&list)
	var out []string
	for _, one := range list.Receipts {
		out = append(out, one.Event)
	}
	return out
}

func (r *receipted) last(by models.Party, id string) models.Receipt {
	r.T.Helper()
	r.settle()
	var list contract.ReceiptList
	r.Call(by, "GET", "/filetransfer/"+id+"/receipts", "").Is(http.StatusOK, "").JSON(&list)
	said, err := receipts.Open(r.keys.KeySet(), list.Receipts[len(list.Receipts)-1].Jws)
	require.NoError(r.T, err)
	return said
}

func (r *receipted) proof(p models.Party, id, sum string, change ...testpki.Option) string {
	r.T.Helper()
	c, err := r.pki.Organisation(p.Number(), change...)
	require.NoError(r.T, err)
	return signProof(r.T, c, id, sum)
}

func signProof(t testing.TB, c tls.Certificate, id, sum string) string {
	t.Helper()
	proof, err := identity.SignProof(c, models.ProofPayload(apitest.MustUUID(t, id), sum))
	require.NoError(t, err)
	return proof
}

// bundle takes somebody's receipts home, and verifies them there with keys from our key set.
func (r *receipted) verified(by models.Party, id string) *receipts.Verdict {
	r.T.Helper()
	r.settle()
	raw := r.Call(by, "GET", "/filetransfer/"+id+"/receipts/bundle", "").Is(http.StatusOK, "").Raw
	keys := r.public("/receipts/api/v1/jwks")
	var set jose.JSONWebKeySet
	require.NoError(r.T, json.Unmarshal(keys, &set))
	verdict, err := receipts.Verify(raw, &set)
	require.NoError(r.T, err)
	return verdict
}

// public asks for what anybody may read.
func (r *receipted) public(path string) []byte {
	r.T.Helper()
	q, err := http.NewRequestWithContext(r.T.Context(), http.MethodGet, r.URL+path, nil)
	require.NoError(r.T, err)
	return r.Do(q).Is(http.StatusOK, "").Raw
}

func TestReceipts_OfAWholeLifeAreReadVerifiedAndPrinted(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.Publish("hello, world")
	sum := apitest.SHA256Hex([]byte("hello, world"))
	r.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusOK, "")
	require.Eventually(t, func() bool { return r.last(bob, id).Event == models.ReceiptHandedOver }, 10*time.Second, 10*time.Millisecond)
	body := apitest.ToJSON(t, map[string]any{"sha256": sum, "status": "ok", "text": "<script>thanks</script>", "proof": r.proof(bob, id, sum)})
	r.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", body).Is(http.StatusNoContent, "")
	require.Equal(t, []string{
		"TransferAuthorization", "SubmissionAcceptance", "ContentConsignment", "ContentConsignment", "ContentHandover", "ContentAccessTracking",
	}, r.events(alice, id))
	require.Equal(t, []string{"ContentConsignment", "ContentHandover", "ContentAccessTracking"}, r.events(bob, id))
	require.Equal(t, []string{"ContentConsignment"}, r.events(carol, id))
	r.Call(mallory, "GET", "/filetransfer/"+id+"/receipts", "").Is(http.StatusNotFound, "BRO-00001")
	r.Call(mallory, "GET", "/filetransfer/"+id+"/receipts/bundle", "").Is(http.StatusNotFound, "BRO-00001")

	said := r.last(bob, id)
	require.Equal(t, sum, said.Claim.SHA256)
	require.NotEmpty(t, said.Claim.Proof)
	text := strings.Join(r.verified(bob, id).Sentences, "\n")
	require.Contains(t, text, string(bob)+" itself signed for the content "+sum)
	require.Len(t, r.verified(alice, id).Receipts, 6)

	page := r.Call(bob, "GET", "/filetransfer/"+id+"/receipts", "", "Accept", "text/html").Is(http.StatusOK, "")
	require.Contains(t, page.Header.Get("Content-Type"), "text/html")
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, string(page.Raw), "<script")
	require.Contains(t, string(page.Raw), "&lt;script&gt;thanks")
	require.Contains(t, string(page.Raw), "confirmed that it has the file")
}

func TestListReceipts_IsReadPageByPage(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.Publish("x")
	r.Publish("y")
	r.settle()
	path, seen := "/receipts?sendersFileTransferReference=ref-1&limit=3", 0
	for path != "" {
		page := r.Call(alice, "GET", path, "").Is(http.StatusOK, "")
		var list contract.ReceiptList
		page.JSON(&list)
		seen += len(list.Receipts)
		next := page.Header.Get("Link")
		path = ""
		if start := strings.Index(next, "/receipts?"); start >= 0 {
			path = next[start:strings.Index(next, ">")]
		}
	}
	require.Equal(t, 8, seen)
	var list contract.ReceiptList
	r.Call(bob, "GET", "/receipts", "").Is(http.StatusOK, "").JSON(&list)
	require.Len(t, list.Receipts, 2)
	require.Equal(t, id, list.Receipts[0].FileTransferID.String())
	r.Call(alice, "GET", "/receipts?sendersFileTransferReference=other", "").Is(http.StatusOK, "").JSON(&list)
	require.Empty(t, list.Receipts)
	for _, wrong := range []string{"/receipts?after=-1", "/receipts?limit=0", "/filetransfer/" + id + "/receipts?after=-1"} {
		r.Call(alice, "GET", wrong, "").Is(http.StatusBadRequest, "FMD-00001")
	}
}

func TestConfirm_OfOtherContentConfirmsNothingAndIsReceipted(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.Publish("hello")
	confirm := "/filetransfer/" + id + "/confirmdownload"
	other := apitest.SHA256Hex([]byte("something else"))
	r.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusOK, "")
	r.Call(bob, "POST", confirm, apitest.ToJSON(t, map[string]any{"sha256": other})).Is(http.StatusUnprocessableEntity, "FMD-00050")
	require.Contains(t, r.events(bob, id), "ContentHandoverFailure")
	for _, one := range r.verified(alice, id).Receipts {
		if one.Event == models.ReceiptHandoverFailed {
			require.Equal(t, other, one.Claim.SHA256)
			require.Equal(t, "FMD-00050", one.Reason.Code)
		}
	}
	require.NotEqual(t, "DownloadConfirmed", string(r.Overview(alice, id).Recipients[0].CurrentRecipientFileTransferStatusCode))
	for field, body := range map[string]string{
		"sha256": `{"sha256":"x"}`, "status": `{"status":"perhaps"}`, "text": apitest.ToJSON(t, map[string]any{"text": strings.Repeat("x", 1001)}),
		"proof": apitest.ToJSON(t, map[string]any{"proof": strings.Repeat("x", 33<<10)}),
	} {
		a := r.Call(bob, "POST", confirm, body).Is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.Problem().Errors, field)
	}
	r.Call(bob, "POST", confirm, "x", "Content-Type", "text/plain").Is(http.StatusUnsupportedMediaType, "FMD-00021")
	r.Call(bob, "POST", confirm, "").Is(http.StatusNoContent, "")
	require.Equal(t, models.ReceiptConfirmed, r.last(bob, id).Event)
	r.Call(bob, "POST", confirm, "").Is(http.StatusNoContent, "")
	r.Call(bob, "POST", confirm, `{"text":"late"}`).Is(http.StatusNoContent, "")
	require.Equal(t, models.ReceiptAcknowledged, r.last(bob, id).Event)
}

func TestProof_IsTheCallersOwnOrRefused(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id, another := r.Publish("hello"), r.Publish("hello")
	sum := apitest.SHA256Hex([]byte("hello"))
	r.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusOK, "")
	nonRepudiation := testpki.Change(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment })
	encipherment := testpki.Change(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	good := r.proof(bob, id, sum, nonRepudiation)
	parts := strings.Split(good, ".")
	for name, proof := range map[string]string{
		"of somebody else":    r.proof(carol, id, sum),
		"of another transfer": r.proof(bob, another, sum),
		"of other content":    r.proof(bob, id, apitest.SHA256Hex([]byte("x"))),
		"not for signing":     r.proof(bob, id, sum, encipherment),
		"not detached":        parts[0] + ".e30." + parts[2],
		"another header":      "eyJhbGciOiJub25lIn0.." + parts[2],
		"nonsense":            "x",
	} {
		a := r.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", apitest.ToJSON(t, map[string]any{"proof": proof}))
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, name)
		require.Equal(t, "FMD-00051", a.Problem().Code, name)
	}
	r.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", apitest.ToJSON(t, map[string]any{"proof": good})).Is(http.StatusNoContent, "")
	require.Contains(t, strings.Join(r.verified(bob, id).Sentences, "\n"), "itself signed")
	r.Restart(func(s *apitest.Config) { s.Proofs = nil })
	r.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", apitest.ToJSON(t, map[string]any{"proof": good})).Is(http.StatusForbidden, "FMD-00052")
}

func TestProof_OfTheSenderComesBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	sum := apitest.SHA256Hex([]byte("hello"))
	id := r.Initialize(func(d map[string]any) { d["sha256"] = sum })
	r.Upload(id, []byte("hello"), "Formidling-Proof", r.proof(bob, id, sum)).Is(http.StatusUnprocessableEntity, "FMD-00051")
	r.Upload(id, []byte("hello"), "Formidling-Proof", r.proof(alice, id, sum)).Is(http.StatusOK, "")
	accepted := r.verified(alice, id).Receipts[1]
	require.Equal(t, models.ReceiptAccepted, accepted.Event)
	require.NotEmpty(t, accepted.Claim.Proof)
	require.Contains(t, strings.Join(r.verified(bob, id).Sentences, "\n"), string(alice)+" itself signed", "the recipient may show it too")
	undeclared := r.Initialize()
	r.Upload(undeclared, []byte("hello"), "Formidling-Proof", r.proof(alice, undeclared, sum)).Is(http.StatusUnprocessableEntity, "FMD-00051")
	r.Upload(undeclared, []byte("hello")).Is(http.StatusOK, "")
	r.Call(alice, "POST", "/filetransfer/"+undeclared+"/acknowledgements", apitest.ToJSON(t, map[string]any{"proof": r.proof(alice, undeclared, sum)})).Is(http.StatusNoContent, "")
	require.Equal(t, models.ReceiptSenderProof, r.last(alice, undeclared).Event)
	r.verified(alice, undeclared)
}

func TestAcknowledge_IsKeptAlsoWhenTheFileHasGone(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.Publish("hello")
	path := "/filetransfer/" + id + "/acknowledgements"
	r.Call(bob, "POST", path, `{"status":"validationFailed","text":"line 7"}`).Is(http.StatusNoContent, "")
	said := r.last(bob, id)
	require.Equal(t, models.ReceiptAcknowledged, said.Event)
	require.Equal(t, &models.ReceiptClaim{Status: "validationFailed", Text: "line 7"}, said.Claim)
	require.NoError(t, r.Store.PurgeTransfer(t.Context(), apitest.MustUUID(t, id)))
	r.Call(alice, "POST", path, `{"status":"ok"}`).Is(http.StatusNoContent, "")
	require.Equal(t, alice, r.last(alice, id).Actor.Organisation)
	r.Call(bob, "POST", path, `{"sha256":"`+apitest.SHA256Hex([]byte("x"))+`"}`).Is(http.StatusUnprocessableEntity, "FMD-00050")
	r.Call(mallory, "POST", path, `{"status":"ok"}`).Is(http.StatusNotFound, "BRO-00001")
	r.Call(bob, "POST", path, `{}`).Is(http.StatusBadRequest, "FMD-00001")
	r.Call(bob, "POST", path, `{"colour":"red"}`).Is(http.StatusBadRequest, "FMD-00001")
	early := r.Initialize()
	r.Call(bob, "POST", "/filetransfer/"+early+"/acknowledgements", `{"status":"ok"}`).Is(http.StatusBadRequest, "BRO-00010")
	r.Call(alice, "POST", "/filetransfer/"+early+"/acknowledgements", `{"sha256":"`+apitest.SHA256Hex([]byte("x"))+`"}`).Is(http.StatusBadRequest, "BRO-00003")
}

func TestLog_IsForEverybodyToCheck(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	for _, path := range []string{"/receipts/api/v1/checkpoint", "/receipts/api/v1/proof/consistency?size=1", "/receipts/api/v1/tile?path=0/000"} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+path, nil)
		require.NoError(t, err)
		r.Do(q).Is(http.StatusNotFound, "FMD-00053")
	}
	id := r.Publish("hello")
	said := r.last(alice, id)
	before, err := receipts.OpenCheckpoint(r.keys.KeySet(), string(r.public("/receipts/api/v1/checkpoint")))
	require.NoError(t, err)
	_, rows, err := r.Store.ReceiptsOf(t.Context(), said.Transfer, alice, 0, 1)
	require.NoError(t, err)
	var inclusion contract.InclusionProof
	require.NoError(t, json.Unmarshal(r.public("/receipts/api/v1/proof/inclusion?sha256="+rows[0].Hash), &inclusion))
	require.Equal(t, *rows[0].Leaf, inclusion.Leaf)
	r.Publish("more")
	r.settle()
	var consistency contract.ConsistencyProof
	require.NoError(t, json.Unmarshal(r.public("/receipts/api/v1/proof/consistency?size="+jsonNumber(before.N)), &consistency))
	require.NotEmpty(t, consistency.Consistency)
	after, err := receipts.OpenCheckpoint(r.keys.KeySet(), consistency.Checkpoint)
	require.NoError(t, err)
	require.Greater(t, after.N, before.N)
	require.Len(t, r.public("/receipts/api/v1/tile?path=0/000.p/"+jsonNumber(after.N)), int(after.N)*32)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+"/receipts/api/v1/proof/inclusion?sha256=x", nil)
	require.NoError(t, err)
	r.Do(q).Is(http.StatusBadRequest, "FMD-00001")
}

func jsonNumber(n int64) string { raw, _ := json.Marshal(n); return string(raw) }

func TestReceipts_AreNotThereWithoutAPlaceToKeepThem(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish("hello")
	for _, path := range []string{"/receipts", "/receipts/bundle", "/timeline"} {
		b.Call(alice, "GET", "/filetransfer/"+id+path, "").Is(http.StatusNotFound, "FMD-00010")
	}
	b.Call(alice, "GET", "/receipts", "").Is(http.StatusNotFound, "FMD-00010")
	b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusOK, "")
	b.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").Is(http.StatusNoContent, "")
}

func TestTimeline_ShowsEachWhatItMaySee(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.Publish("hello")
	r.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusOK, "")
	r.Call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", `{"text":"secret words"}`).Is(http.StatusNoContent, "")
	r.settle()
	read := func(by models.Party) (contract.Timeline, string) {
		var out contract.Timeline
		a := r.Call(by, "GET", "/filetransfer/"+id+"/timeline", "").Is(http.StatusOK, "")
		a.JSON(&out)
		for i := 1; i < len(out.Entries); i++ {
			require.False(t, out.Entries[i].At.Before(out.Entries[i-1].At), "in order")
		}
		return out, string(a.Raw)
	}
	all, text := read(alice)
	require.Contains(t, text, "secret words")
	kinds := map[contract.TimelineEntryKind]int{}
	for _, e := range all.Entries {
		kinds[e.Kind]++
	}
	require.Equal(t, 3, kinds["status"])
	require.Equal(t, 2, kinds["delivery"])
	require.Equal(t, 1, kinds["access"])
	require.Equal(t, 1, kinds["confirmation"])
	require.Equal(t, 1, kinds["statement"])
	owners, text := read(owner)
	require.Len(t, owners.Entries, len(all.Entries))
	require.NotContains(t, text, "secret words")
	require.NotContains(t, text, "a.zip")
	_, text = read(carol)
	require.NotContains(t, text, string(bob))
	require.NotContains(t, text, "secret words")
	r.Call(mallory, "GET", "/filetransfer/"+id+"/timeline", "").Is(http.StatusNotFound, "BRO-00001")
}
