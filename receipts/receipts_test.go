package receipts_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

func (b *bundle) take(id uuid.UUID, who models.Party) models.ReceiptBundle {
	b.t.Helper()
	out, err := b.evidence.Bundle(context.Background(), id, who)
	require.NoError(b.t, err)
	return out
}

func verify(t testing.TB, b models.ReceiptBundle, trusted *jose.JSONWebKeySet) (*receipts.Verdict, error) {
	t.Helper()
	raw, err := json.Marshal(b)
	require.NoError(t, err)
	return receipts.Verify(raw, trusted)
}

func TestIssue_MakesOneChainThatAnyoneCanVerify(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.live()
		_, rows, err := b.ReceiptsOf(t.Context(), id, alice, 0, 100)
		require.NoError(t, err)
		require.Len(t, rows, 6)
		prev := ""
		for i, row := range rows {
			r, err := receipts.Open(b.keys.KeySet(), row.JWS)
			require.NoError(t, err)
			require.Equal(t, i+1, r.Seq)
			require.Equal(t, prev, r.Prev)
			require.Equal(t, name, r.Issuer)
			require.Equal(t, id, r.Transfer)
			prev = row.Hash
		}
		again := b.live()
		require.NoError(t, b.issuer.Issue(t.Context(), again), "what is signed stays as it is")
		_, same, err := b.ReceiptsOf(t.Context(), id, alice, 0, 100)
		require.NoError(t, err)
		require.Equal(t, rows, same)
		require.NoError(t, b.issuer.Issue(t.Context(), uuid.New()), "an unknown chain has nothing outstanding")
	})
}

// After a crash between a change and its signature the next step signs; if many do at once, one chain results.
func TestSettle_SignsWhatWasLeftUnsigned(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		keys := b.keys
		b.issuer.Keys = nil // nobody can sign
		var ids []uuid.UUID
		for range 3 {
			ids = append(ids, b.live())
		}
		b.use(keys)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := b.issuer.Settle(context.Background(), 1e10); err != nil {
					t.Errorf("settle: %v", err)
				}
			})
		}
		wg.Wait()
		b.seal()
		for _, id := range ids {
			v, err := verify(t, b.take(id, alice), nil)
			require.NoError(t, err)
			require.Len(t, v.Receipts, 6)
		}
	})
}

// unreachable is a database that cannot be asked what is outstanding.
type unreachable struct{ receipts.Chains }

func (unreachable) OutstandingReceipts(context.Context, uuid.UUID, int) (models.ReceiptChain, []models.ReceiptEntry, error) {
	return models.ReceiptChain{}, nil, errors.New("the database is down")
}

func TestIssueOrLeave_HoldsNobodyUpWhenNothingCanBeSigned(t *testing.T) {
	t.Parallel()
	b := setup(t, sqlite(t))
	keys, chains := b.issuer.Keys, b.issuer.Chains
	b.issuer.Keys = nil
	id := b.live()
	b.issuer.IssueOrLeave(t.Context(), id) // there are no keys yet
	b.issuer.Keys, b.issuer.Chains = keys, unreachable{chains}
	b.issuer.IssueOrLeave(t.Context(), id)
	require.ErrorContains(t, b.issuer.Issue(t.Context(), id), "the database is down")
	_, rows, err := b.ReceiptsOf(t.Context(), id, alice, 0, 10)
	require.NoError(t, err)
	require.Empty(t, rows)
	b.issuer.Chains = chains
	require.NoError(t, b.issuer.Settle(t.Context(), 1e9))
	_, rows, err = b.ReceiptsOf(t.Context(), id, alice, 0, 10)
	require.NoError(t, err)
	require.Len(t, rows, 6)
}

func TestKeys_OfThePastStayPublishedAndVerify(t *testing.T) {
	t.Parallel()
	b := setup(t, sqlite(t))
	id := b.live()
	b.seal()
	var old, fresh jose.JSONWebKeySet
	raw, err := os.ReadFile(b.file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &old))
	other := b.file + ".new"
	_, err = receipts.MakeKeys(other)
	require.NoError(t, err)
	raw, err = os.ReadFile(other)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &fresh))
	for _, k := range old.Keys { // retired: the public half stays
		fresh.Keys = append(fresh.Keys, k.Public())
	}
	raw, err = json.Marshal(fresh)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(other, raw, 0o600))
	keys, err := receipts.OpenKeys(other)
	require.NoError(t, err)
	b.use(keys)
	_, err = b.ConfirmTransfer(t.Context(), id, carol)
	require.Error(t, err)
	require.NoError(t, b.PurgeTransfer(t.Context(), id))
	require.NoError(t, b.issuer.Issue(t.Context(), id))
	b.seal()
	v, err := verify(t, b.take(id, alice), nil)
	require.NoError(t, err)
	require.Len(t, v.Receipts, 9)
	published, err := json.Marshal(keys.KeySet())
	require.NoError(t, err)
	require.NotContains(t, string(published), `"d":`, "no private key is published")
	require.Len(t, keys.KeySet().Keys, 4)
}

func TestOpenKeys_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/keys.json"
	for content, says := range map[string]string{
		`x`: "parse key set", `{"keys":[]}`: "no private P-256 key",
		`{"keys":[{"kty":"oct","k":"AAAA","kid":"a"}]}`:                                              "neither P-256 nor Ed25519",
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`: "kid of its own",
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := receipts.OpenKeys(file)
		require.ErrorContains(t, err, says)
	}
	_, err := receipts.OpenKeys(file + ".none")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// forgeries are changes to a bundle of alice's, and what the verdict says of each.
var forgeries = map[string]struct {
	forge func(b, other *models.ReceiptBundle)
	says  string
}{
	"a changed receipt": {func(b, _ *models.ReceiptBundle) {
		parts := strings.Split(b.Receipts[2].JWS, ".")
		parts[1] = "eyJ" + parts[1][3:len(parts[1])-4] + "AAAA"
		b.Receipts[2].JWS = strings.Join(parts, ".")
	}, "not the one that was stated"},
	"one left out":        {func(b, _ *models.ReceiptBundle) { b.Receipts = slices.Delete(b.Receipts, 2, 3) }, "cut or added to"},
	"a cut end":           {func(b, _ *models.ReceiptBundle) { b.Receipts = b.Receipts[:4] }, "cut or added to"},
	"two that swapped":    {func(b, _ *models.ReceiptBundle) { b.Receipts[1], b.Receipts[2] = b.Receipts[2], b.Receipts[1] }, "not the one that was stated"},
	"one of elsewhere":    {func(b, o *models.ReceiptBundle) { b.Receipts[0] = o.Receipts[0] }, "not the one that was stated"},
	"one added":           {func(b, o *models.ReceiptBundle) { b.Receipts = append(b.Receipts, o.Receipts[0]) }, "cut or added to"},
	"another statement":   {func(b, o *models.ReceiptBundle) { b.Statement = o.Statement }, "not the one that was stated"},
	"a receipt as one":    {func(b, _ *models.ReceiptBundle) { b.Statement = b.Receipts[0].JWS }, "not of the type"},
	"no statement":        {func(b, _ *models.ReceiptBundle) { b.Statement = "" }, "statement of what the bundle holds is not valid"},
	"a proof left out":    {func(b, _ *models.ReceiptBundle) { b.Receipts[3].Leaf, b.Receipts[3].Inclusion = nil, nil }, "another place in the log"},
	"a proof of another":  {func(b, _ *models.ReceiptBundle) { b.Receipts[3].Inclusion = b.Receipts[4].Inclusion }, "the log does not hold receipt #4"},
	"no checkpoint":       {func(b, _ *models.ReceiptBundle) { b.Checkpoint = "" }, "checkpoint of the log is not valid"},
	"a changed root":      {func(b, _ *models.ReceiptBundle) { b.Checkpoint = strings.Replace(b.Checkpoint, "\n", "x\n", 1) }, "checkpoint of the log is not valid"},
	"keys of somebody":    {func(b, _ *models.ReceiptBundle) { b.Keys = json.RawMessage(`{"keys":[]}`) }, "no key"},
	"another form":        {func(b, _ *models.ReceiptBundle) { b.Format = "x" }, "no bundle of the form"},
	"a proof nobody made": {func(b, _ *models.ReceiptBundle) { b.Proofs = []models.BundledProof{{Party: alice, JWS: "a..b"}} }, "1 proofs are here, and 0 were stated"},
}

func TestVerify_FindsWhateverIsNotAsItWasSigned(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id, other := b.live(), b.live()
		b.seal()
		v, err := verify(t, b.take(id, alice), nil)
		require.NoError(t, err)
		text := strings.Join(v.Sentences, "\n")
		for _, words := range []string{
			"these are all 6 receipts", "a key that the bundle itself brings", "was permitted, by 0192:310000027 (certificate print), permitted by grant/0192:310000027",
			"3 bytes were handed over to 0192:310000035 in 1 downloads", "The file has 3 bytes", "holds 6 of the 6 receipts",
		} {
			require.Contains(t, text, words)
		}
		for name, f := range forgeries {
			mine, foreign := b.take(id, alice), b.take(other, alice)
			f.forge(&mine, &foreign)
			_, err := verify(t, mine, nil)
			require.ErrorContains(t, err, f.says, name)
		}
	})
}

func TestVerify_BelievesOnlyKeysThatTheReaderBrings(t *testing.T) {
	t.Parallel()
	b := setup(t, sqlite(t))
	id := b.live()
	b.seal()
	trusted := b.keys.KeySet()
	v, err := verify(t, b.take(id, alice), &trusted)
	require.NoError(t, err)
	require.Contains(t, strings.Join(v.Sentences, "\n"), "a key that you brought")
	forger, err := receipts.MakeKeys(b.file + ".forger")
	require.NoError(t, err)
	forged := forger.KeySet()
	_, err = verify(t, b.take(id, alice), &forged)
	require.ErrorContains(t, err, "no key")
}

func TestVerify_OfARecipientNeedsItsOwnReceiptsOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.live()
		b.seal()
		mine := b.take(id, bob)
		v, err := verify(t, mine, nil)
		require.NoError(t, err)
		require.Len(t, v.Receipts, 3)
		for _, r := range v.Receipts {
			require.Equal(t, bob, r.Recipient)
		}
		mine.Receipts = mine.Receipts[:2]
		_, err = verify(t, mine, nil)
		require.ErrorContains(t, err, "cut or added to")
		_, err = b.evidence.Bundle(t.Context(), id, owner)
		require.ErrorIs(t, err, models.ErrTransferNotFound)
	})
}

func FuzzVerify(f *testing.F) {
	b := setup(f, sqlite(f))
	id := b.live()
	b.seal()
	raw, err := json.Marshal(b.take(id, alice))
	require.NoError(f, err)
	f.Add(raw)
	f.Add([]byte(`{"format":"formidling-receipts/1","keys":{"keys":[{"kty":"EC"}]},"statement":"a.b.c"}`))
	trusted := b.keys.KeySet()
	f.Fuzz(func(t *testing.T, raw []byte) {
		if v, err := receipts.Verify(raw, &trusted); err == nil && len(v.Receipts) != 6 {
			t.Errorf("%d receipts pass for the bundle", len(v.Receipts))
		}
	})
}
