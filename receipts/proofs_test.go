package receipts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
)

// sum is the SHA-256 of the content of live.
var sum = fmt.Sprintf("%064x", 7)

// prover signs for content with certificates of organisations.
type prover struct{ *testpki.PKI }

func newProver(t testing.TB) prover {
	t.Helper()
	pki, err := testpki.Open(filepath.Join(t.TempDir(), "pki"), time.Now())
	require.NoError(t, err)
	return prover{pki}
}

func (p prover) sign(t testing.TB, of models.Party, id uuid.UUID, sha256 string) models.BundledProof {
	t.Helper()
	c, err := p.Organisation(of.Number())
	require.NoError(t, err)
	jws, err := identity.SignProof(c, models.ProofPayload(id, sha256))
	require.NoError(t, err)
	return models.BundledProof{Party: of, SHA256: sha256, JWS: jws}
}

func (b *bundle) state(id uuid.UUID, kind models.StatementKind, p models.BundledProof) {
	b.t.Helper()
	st := models.Statement{TransferID: id, Party: p.Party, Kind: kind, SHA256: p.SHA256, Proof: p.JWS, Actor: models.ReceiptActor{Organisation: p.Party}}
	require.NoError(b.t, b.AppendStatement(b.t.Context(), st))
}

func (b *bundle) settle(id uuid.UUID) {
	b.t.Helper()
	require.NoError(b.t, b.ReceiptFacts(b.t.Context(), id))
	require.NoError(b.t, b.issuer.Issue(b.t.Context(), id))
	b.seal()
}

// verified takes a bundle home and verifies it.
func (b *bundle) verified(id uuid.UUID, who models.Party) error {
	out, err := b.evidence.Bundle(context.Background(), id, who)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(out)
	if err == nil {
		_, err = receipts.Verify(raw, nil)
	}
	return err
}

func TestVerify_TakesOnlyTheProofsThatWereStated(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id, p := b.live(), newProver(t)
		b.state(id, models.StatementAcknowledgement, p.sign(t, bob, id, sum))
		b.state(id, models.StatementSenderProof, p.sign(t, alice, id, sum))
		b.settle(id)
		foreign, other := p.sign(t, carol, id, sum), p.sign(t, bob, id, fmt.Sprintf("%064x", 8))
		for _, who := range []models.Party{alice, bob} {
			v, err := verify(t, b.take(id, who), nil)
			require.NoError(t, err)
			require.Len(t, v.Statement.Proofs, 2)
			text := strings.Join(v.Sentences, "\n")
			require.Contains(t, text, string(alice)+" itself signed")
			require.Contains(t, text, string(bob)+" itself signed")
			for name, forge := range map[string]func(b *models.ReceiptBundle){
				"one added":         func(b *models.ReceiptBundle) { b.Proofs = append(b.Proofs, foreign) },
				"one cut":           func(b *models.ReceiptBundle) { b.Proofs = b.Proofs[:1] },
				"all cut":           func(b *models.ReceiptBundle) { b.Proofs = nil },
				"one exchanged":     func(b *models.ReceiptBundle) { b.Proofs[1] = foreign },
				"for other content": func(b *models.ReceiptBundle) { b.Proofs[0] = other },
				"another hash":      func(b *models.ReceiptBundle) { b.Proofs[0].SHA256 = other.SHA256 },
				"of somebody else":  func(b *models.ReceiptBundle) { b.Proofs[0].Party = carol },
				"two that swapped":  func(b *models.ReceiptBundle) { slices.Reverse(b.Proofs) },
			} {
				mine := b.take(id, who)
				forge(&mine)
				_, err := verify(t, mine, nil)
				require.Regexp(t, `\d proofs are here, and 2 were stated|proof \d of the bundle is not the one that was stated`, fmt.Sprint(err), name)
			}
		}
	})
}

// A proof that the broker signs must be for the file too.
func TestVerify_RefusesAStatedProofForOtherContent(t *testing.T) {
	t.Parallel()
	b := setup(t, sqlite(t))
	id, p := b.live(), newProver(t)
	b.state(id, models.StatementAcknowledgement, p.sign(t, bob, id, fmt.Sprintf("%064x", 8)))
	b.settle(id)
	_, err := verify(t, b.take(id, bob), nil)
	require.ErrorContains(t, err, "proof 1 of the bundle is for other content than the file")
}

// However much is signed and logged when a bundle is made, the bundle verifies.
func TestBundle_VerifiesAtAnyMoment(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id, p := b.live(), newProver(t)
		both := func() {
			t.Helper()
			for _, who := range []models.Party{alice, bob} {
				require.NoError(t, b.verified(id, who))
			}
		}
		b.state(id, models.StatementAcknowledgement, p.sign(t, bob, id, sum))
		both() // said, and not receipted
		require.Empty(t, b.take(id, bob).Proofs)
		require.NoError(t, b.ReceiptFacts(t.Context(), id))
		both() // receipted, and not signed
		require.Empty(t, b.take(id, alice).Proofs)
		require.NoError(t, b.issuer.Issue(t.Context(), id))
		both() // signed, and not logged
		require.Len(t, b.take(id, bob).Proofs, 1)
		done := make(chan struct{})
		var wg sync.WaitGroup
		for _, who := range []models.Party{alice, bob} {
			wg.Go(func() {
				for ended := false; !ended; {
					select {
					case <-done:
						ended = true
					default:
					}
					if err := b.verified(id, who); err != nil {
						t.Errorf("a bundle of %s: %v", who, err)
						return
					}
				}
			})
		}
		for range 10 {
			b.state(id, models.StatementAcknowledgement, p.sign(t, bob, id, sum))
			b.settle(id)
		}
		close(done)
		wg.Wait()
		require.Len(t, b.take(id, bob).Proofs, 11)
	})
}

func TestBundle_IsNeverAPartSignedAsTheWhole(t *testing.T) {
	t.Parallel()
	b := setup(t, sqlite(t))
	id := b.live()
	b.evidence.Max = 6
	require.Len(t, b.take(id, alice).Receipts, 6)
	b.evidence.Max = 5
	_, err := b.evidence.Bundle(t.Context(), id, alice)
	require.ErrorIs(t, err, models.ErrBundleTooLarge)
	require.Len(t, b.take(id, bob).Receipts, 3)
}
