package api

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
	*bundle
	keys   *receipts.Keys
	issuer *receipts.Issuer
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
	r.bundle = setup(t, func(s *Server) {
		db, files := s.Views.(*store.Store), s.Contents.(objects.Store)
		r.keys = keys
		r.issuer = &receipts.Issuer{Chains: db, Keys: keys, Name: "https://broker.example.no", Log: slog.New(slog.DiscardHandler)}
		r.log = &receipts.Log{Leaves: db, Tiles: files, Keys: keys, Name: r.issuer.Name}
		s.Receipts, s.Proofs = db, trust
		s.Evidence = &receipts.Evidence{Bundler: receipts.Bundler{Archive: db, Log: r.log, Keys: keys, Name: r.issuer.Name, Now: time.Now}, Finder: db}
	})
	return r
}

// settle does what the log's workflow does from time to time.
func (r *receipted) settle() {
	r.t.Helper()
	require.NoError(r.t, r.issuer.Settle(r.t.Context(), time.Minute))
	require.NoError(r.t, r.log.SealFor(r.t.Context(), time.Minute))
}

// events settles, and names the receipts that somebody sees.
func (r *receipted) events(by models.Party, id string) []string {
	r.t.Helper()
	r.settle()
	var list contract.ReceiptList
	r.call(by, "GET", "/filetransfer/"+id+"/receipts", "").is(http.StatusOK, "").json(&list)
	var out []string
	for _, one := range list.Receipts {
		out = append(out, one.Event)
	}
	return out
}

func (r *receipted) last(by models.Party, id string) models.Receipt {
	r.t.Helper()
	r.settle()
	var list contract.ReceiptList
	r.call(by, "GET", "/filetransfer/"+id+"/receipts", "").is(http.StatusOK, "").json(&list)
	said, err := receipts.Open(r.keys.KeySet(), list.Receipts[len(list.Receipts)-1].Jws)
	require.NoError(r.t, err)
	return said
}

func (r *receipted) proof(p models.Party, id, sum string, change ...testpki.Option) string {
	r.t.Helper()
	c, err := r.pki.Organisation(p.Number(), change...)
	require.NoError(r.t, err)
	return signProof(r.t, c, id, sum)
}

func signProof(t testing.TB, c tls.Certificate, id, sum string) string {
	t.Helper()
	proof, err := identity.SignProof(c, models.ProofPayload(mustUUID(t, id), sum))
	require.NoError(t, err)
	return proof
}

// bundle takes somebody's receipts home, and verifies them there with keys from our key set.
func (r *receipted) verified(by models.Party, id string) *receipts.Verdict {
	r.t.Helper()
	r.settle()
	raw := r.call(by, "GET", "/filetransfer/"+id+"/receipts/bundle", "").is(http.StatusOK, "").body
	keys := r.public("/receipts/api/v1/jwks")
	var set jose.JSONWebKeySet
	require.NoError(r.t, json.Unmarshal(keys, &set))
	verdict, err := receipts.Verify(raw, &set)
	require.NoError(r.t, err)
	return verdict
}

// public asks for what anybody may read.
func (r *receipted) public(path string) []byte {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, nil)
	require.NoError(r.t, err)
	return r.do(q).is(http.StatusOK, "").body
}

func TestReceipts_OfAWholeLifeAreReadVerifiedAndPrinted(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.publish("hello, world")
	sum := sha256Hex([]byte("hello, world"))
	r.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	require.Eventually(t, func() bool { return r.last(bob, id).Event == models.ReceiptHandedOver }, 10*time.Second, 10*time.Millisecond)
	body := toJSON(t, map[string]any{"sha256": sum, "status": "ok", "text": "<script>thanks</script>", "proof": r.proof(bob, id, sum)})
	r.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", body).is(http.StatusNoContent, "")
	require.Equal(t, []string{
		"TransferAuthorization", "SubmissionAcceptance", "ContentConsignment", "ContentConsignment", "ContentHandover", "ContentAccessTracking",
	}, r.events(alice, id))
	require.Equal(t, []string{"ContentConsignment", "ContentHandover", "ContentAccessTracking"}, r.events(bob, id))
	require.Equal(t, []string{"ContentConsignment"}, r.events(carol, id))
	r.call(mallory, "GET", "/filetransfer/"+id+"/receipts", "").is(http.StatusNotFound, "BRO-00001")
	r.call(mallory, "GET", "/filetransfer/"+id+"/receipts/bundle", "").is(http.StatusNotFound, "BRO-00001")

	said := r.last(bob, id)
	require.Equal(t, sum, said.Claim.SHA256)
	require.NotEmpty(t, said.Claim.Proof)
	text := strings.Join(r.verified(bob, id).Sentences, "\n")
	require.Contains(t, text, string(bob)+" itself signed for the content "+sum)
	require.Len(t, r.verified(alice, id).Receipts, 6)

	page := r.call(bob, "GET", "/filetransfer/"+id+"/receipts", "", "Accept", "text/html").is(http.StatusOK, "")
	require.Contains(t, page.Header.Get("Content-Type"), "text/html")
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, string(page.body), "<script")
	require.Contains(t, string(page.body), "&lt;script&gt;thanks")
	require.Contains(t, string(page.body), "confirmed that it has the file")
}

func TestListReceipts_IsReadPageByPage(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.publish("x")
	r.publish("y")
	r.settle()
	path, seen := "/receipts?sendersFileTransferReference=ref-1&limit=3", 0
	for path != "" {
		page := r.call(alice, "GET", path, "").is(http.StatusOK, "")
		var list contract.ReceiptList
		page.json(&list)
		seen += len(list.Receipts)
		next := page.Header.Get("Link")
		path = ""
		if start := strings.Index(next, "/receipts?"); start >= 0 {
			path = next[start:strings.Index(next, ">")]
		}
	}
	require.Equal(t, 8, seen)
	var list contract.ReceiptList
	r.call(bob, "GET", "/receipts", "").is(http.StatusOK, "").json(&list)
	require.Len(t, list.Receipts, 2)
	require.Equal(t, id, list.Receipts[0].FileTransferID.String())
	r.call(alice, "GET", "/receipts?sendersFileTransferReference=other", "").is(http.StatusOK, "").json(&list)
	require.Empty(t, list.Receipts)
	for _, wrong := range []string{"/receipts?after=-1", "/receipts?limit=0", "/filetransfer/" + id + "/receipts?after=-1"} {
		r.call(alice, "GET", wrong, "").is(http.StatusBadRequest, "FMD-00001")
	}
}

func TestConfirm_OfOtherContentConfirmsNothingAndIsReceipted(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.publish("hello")
	confirm := "/filetransfer/" + id + "/confirmdownload"
	other := sha256Hex([]byte("something else"))
	r.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	r.call(bob, "POST", confirm, toJSON(t, map[string]any{"sha256": other})).is(http.StatusUnprocessableEntity, "FMD-00050")
	require.Contains(t, r.events(bob, id), "ContentHandoverFailure")
	for _, one := range r.verified(alice, id).Receipts {
		if one.Event == models.ReceiptHandoverFailed {
			require.Equal(t, other, one.Claim.SHA256)
			require.Equal(t, "FMD-00050", one.Reason.Code)
		}
	}
	require.NotEqual(t, "DownloadConfirmed", string(r.overview(alice, id).Recipients[0].CurrentRecipientFileTransferStatusCode))
	for field, body := range map[string]string{
		"sha256": `{"sha256":"x"}`, "status": `{"status":"perhaps"}`, "text": toJSON(t, map[string]any{"text": strings.Repeat("x", 1001)}),
		"proof": toJSON(t, map[string]any{"proof": strings.Repeat("x", 33<<10)}),
	} {
		a := r.call(bob, "POST", confirm, body).is(http.StatusBadRequest, "FMD-00001")
		require.Contains(t, a.problem().Errors, field)
	}
	r.call(bob, "POST", confirm, "x", "Content-Type", "text/plain").is(http.StatusUnsupportedMediaType, "FMD-00021")
	r.call(bob, "POST", confirm, "").is(http.StatusNoContent, "")
	require.Equal(t, models.ReceiptConfirmed, r.last(bob, id).Event)
	r.call(bob, "POST", confirm, "").is(http.StatusNoContent, "")
	r.call(bob, "POST", confirm, `{"text":"late"}`).is(http.StatusNoContent, "")
	require.Equal(t, models.ReceiptAcknowledged, r.last(bob, id).Event)
}

func TestProof_IsTheCallersOwnOrRefused(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id, another := r.publish("hello"), r.publish("hello")
	sum := sha256Hex([]byte("hello"))
	r.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	nonRepudiation := testpki.Change(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment })
	encipherment := testpki.Change(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	good := r.proof(bob, id, sum, nonRepudiation)
	parts := strings.Split(good, ".")
	for name, proof := range map[string]string{
		"of somebody else":    r.proof(carol, id, sum),
		"of another transfer": r.proof(bob, another, sum),
		"of other content":    r.proof(bob, id, sha256Hex([]byte("x"))),
		"not for signing":     r.proof(bob, id, sum, encipherment),
		"not detached":        parts[0] + ".e30." + parts[2],
		"another header":      "eyJhbGciOiJub25lIn0.." + parts[2],
		"nonsense":            "x",
	} {
		a := r.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", toJSON(t, map[string]any{"proof": proof}))
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, name)
		require.Equal(t, "FMD-00051", a.problem().Code, name)
	}
	r.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", toJSON(t, map[string]any{"proof": good})).is(http.StatusNoContent, "")
	require.Contains(t, strings.Join(r.verified(bob, id).Sentences, "\n"), "itself signed")
	r.server.Proofs = nil
	r.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", toJSON(t, map[string]any{"proof": good})).is(http.StatusForbidden, "FMD-00052")
}

func TestProof_OfTheSenderComesBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	sum := sha256Hex([]byte("hello"))
	id := r.initialize(func(d map[string]any) { d["sha256"] = sum })
	r.upload(id, []byte("hello"), "Formidling-Proof", r.proof(bob, id, sum)).is(http.StatusUnprocessableEntity, "FMD-00051")
	r.upload(id, []byte("hello"), "Formidling-Proof", r.proof(alice, id, sum)).is(http.StatusOK, "")
	accepted := r.verified(alice, id).Receipts[1]
	require.Equal(t, models.ReceiptAccepted, accepted.Event)
	require.NotEmpty(t, accepted.Claim.Proof)
	require.Contains(t, strings.Join(r.verified(bob, id).Sentences, "\n"), string(alice)+" itself signed", "the recipient may show it too")
	undeclared := r.initialize()
	r.upload(undeclared, []byte("hello"), "Formidling-Proof", r.proof(alice, undeclared, sum)).is(http.StatusUnprocessableEntity, "FMD-00051")
	r.upload(undeclared, []byte("hello")).is(http.StatusOK, "")
	r.call(alice, "POST", "/filetransfer/"+undeclared+"/acknowledgements", toJSON(t, map[string]any{"proof": r.proof(alice, undeclared, sum)})).is(http.StatusNoContent, "")
	require.Equal(t, models.ReceiptSenderProof, r.last(alice, undeclared).Event)
	r.verified(alice, undeclared)
}

func TestAcknowledge_IsKeptAlsoWhenTheFileHasGone(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.publish("hello")
	path := "/filetransfer/" + id + "/acknowledgements"
	r.call(bob, "POST", path, `{"status":"validationFailed","text":"line 7"}`).is(http.StatusNoContent, "")
	said := r.last(bob, id)
	require.Equal(t, models.ReceiptAcknowledged, said.Event)
	require.Equal(t, &models.ReceiptClaim{Status: "validationFailed", Text: "line 7"}, said.Claim)
	require.NoError(t, r.store.PurgeTransfer(t.Context(), mustUUID(t, id)))
	r.call(alice, "POST", path, `{"status":"ok"}`).is(http.StatusNoContent, "")
	require.Equal(t, alice, r.last(alice, id).Actor.Organisation)
	r.call(bob, "POST", path, `{"sha256":"`+sha256Hex([]byte("x"))+`"}`).is(http.StatusUnprocessableEntity, "FMD-00050")
	r.call(mallory, "POST", path, `{"status":"ok"}`).is(http.StatusNotFound, "BRO-00001")
	r.call(bob, "POST", path, `{}`).is(http.StatusBadRequest, "FMD-00001")
	r.call(bob, "POST", path, `{"colour":"red"}`).is(http.StatusBadRequest, "FMD-00001")
	early := r.initialize()
	r.call(bob, "POST", "/filetransfer/"+early+"/acknowledgements", `{"status":"ok"}`).is(http.StatusBadRequest, "BRO-00010")
	r.call(alice, "POST", "/filetransfer/"+early+"/acknowledgements", `{"sha256":"`+sha256Hex([]byte("x"))+`"}`).is(http.StatusBadRequest, "BRO-00003")
}

func TestLog_IsForEverybodyToCheck(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	for _, path := range []string{"/receipts/api/v1/checkpoint", "/receipts/api/v1/proof/consistency?size=1", "/receipts/api/v1/tile?path=0/000"} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
		require.NoError(t, err)
		r.do(q).is(http.StatusNotFound, "FMD-00053")
	}
	id := r.publish("hello")
	said := r.last(alice, id)
	before, err := receipts.OpenCheckpoint(r.keys.KeySet(), string(r.public("/receipts/api/v1/checkpoint")))
	require.NoError(t, err)
	_, rows, err := r.store.ReceiptsOf(t.Context(), said.Transfer, alice, 0, 1)
	require.NoError(t, err)
	var inclusion contract.InclusionProof
	require.NoError(t, json.Unmarshal(r.public("/receipts/api/v1/proof/inclusion?sha256="+rows[0].Hash), &inclusion))
	require.Equal(t, *rows[0].Leaf, inclusion.Leaf)
	r.publish("more")
	r.settle()
	var consistency contract.ConsistencyProof
	require.NoError(t, json.Unmarshal(r.public("/receipts/api/v1/proof/consistency?size="+jsonNumber(before.N)), &consistency))
	require.NotEmpty(t, consistency.Consistency)
	after, err := receipts.OpenCheckpoint(r.keys.KeySet(), consistency.Checkpoint)
	require.NoError(t, err)
	require.Greater(t, after.N, before.N)
	require.Len(t, r.public("/receipts/api/v1/tile?path=0/000.p/"+jsonNumber(after.N)), int(after.N)*32)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/receipts/api/v1/proof/inclusion?sha256=x", nil)
	require.NoError(t, err)
	r.do(q).is(http.StatusBadRequest, "FMD-00001")
}

func jsonNumber(n int64) string { raw, _ := json.Marshal(n); return string(raw) }

func TestReceipts_AreNotThereWithoutAPlaceToKeepThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish("hello")
	for _, path := range []string{"/receipts", "/receipts/bundle", "/timeline"} {
		b.call(alice, "GET", "/filetransfer/"+id+path, "").is(http.StatusNotFound, "FMD-00010")
	}
	b.call(alice, "GET", "/receipts", "").is(http.StatusNotFound, "FMD-00010")
	b.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	b.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", "").is(http.StatusNoContent, "")
}

func TestTimeline_ShowsEachWhatItMaySee(t *testing.T) {
	t.Parallel()
	r := setupReceipts(t)
	id := r.publish("hello")
	r.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	r.call(bob, "POST", "/filetransfer/"+id+"/confirmdownload", `{"text":"secret words"}`).is(http.StatusNoContent, "")
	r.settle()
	read := func(by models.Party) (contract.Timeline, string) {
		var out contract.Timeline
		a := r.call(by, "GET", "/filetransfer/"+id+"/timeline", "").is(http.StatusOK, "")
		a.json(&out)
		for i := 1; i < len(out.Entries); i++ {
			require.False(t, out.Entries[i].At.Before(out.Entries[i-1].At), "in order")
		}
		return out, string(a.body)
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
	r.call(mallory, "GET", "/filetransfer/"+id+"/timeline", "").is(http.StatusNotFound, "BRO-00001")
}
