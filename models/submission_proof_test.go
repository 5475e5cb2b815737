package models_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

var signed = models.SubmissionProof{
	IdempotencyKey: `k"1\`, Recipients: []models.Party{"0192:310000043", "0192:310000035"},
	Reference: "æ<&>\u2028\"\\\b\f\n\r\t\x01\x7f😀", Sender: "0192:310000027", Service: "my-service", SHA256: strings.Repeat("0", 64),
}

// The expected text is what JavaScript's JSON.stringify gives for the members in order of their names.
func TestSubmissionProof_IsCanonicalJSON(t *testing.T) {
	t.Parallel()
	want := `{"idempotencyKey":"k\"1\\","recipients":["0192:310000043","0192:310000035"],"reference":"æ<&>` + "\u2028" +
		`\"\\\b\f\n\r\t\u0001` + "\x7f" + `😀","sender":"0192:310000027","service":"my-service","sha256":"` + strings.Repeat("0", 64) + `"}`
	require.Equal(t, want, string(signed.Payload()))
	back, err := models.ReadSubmissionProof(want)
	require.NoError(t, err)
	require.Equal(t, signed, back)
	without := signed
	without.IdempotencyKey = ""
	require.NotContains(t, string(without.Payload()), "idempotencyKey")
	for _, other := range []string{
		"", "{}", want + " ", strings.Replace(want, "<", `\u003c`, 1), strings.Replace(want, `{"idem`, `{"a":1,"idem`, 1), strings.Replace(want, `"k\"1\\"`, `""`, 1), "\xff",
	} {
		_, err := models.ReadSubmissionProof(other)
		require.Error(t, err, other)
	}
}

func TestSubmissionProof_ConcernsItsTransferOnly(t *testing.T) {
	t.Parallel()
	to := []models.Addressee{{Party: signed.Recipients[0]}, {Party: signed.Recipients[1]}}
	receipt := func(change func(*models.Receipt)) models.Receipt {
		r := models.Receipt{
			Sender: signed.Sender, Service: signed.Service, Reference: signed.Reference, To: models.NewReceiptParties(to),
			Transfer: models.IdempotentID(signed.Sender, signed.IdempotencyKey),
		}
		change(&r)
		return r
	}
	require.NoError(t, signed.Concerns(receipt(func(*models.Receipt) {})))
	for name, change := range map[string]func(*models.Receipt){
		"sender": func(r *models.Receipt) { r.Sender = "0192:310000019" }, "service": func(r *models.Receipt) { r.Service = "x" },
		"reference": func(r *models.Receipt) { r.Reference = "x" }, "transfer": func(r *models.Receipt) { r.Transfer = uuid.New() },
		"recipients": func(r *models.Receipt) { r.To = models.NewReceiptParties(to[:1]) },
		"order":      func(r *models.Receipt) { r.To = models.NewReceiptParties([]models.Addressee{to[1], to[0]}) },
	} {
		require.Error(t, signed.Concerns(receipt(change)), name)
	}
}

// A sender that signs anew with each try asks for the same transfer.
func TestNewSubmission_DoesNotHashTheProof(t *testing.T) {
	t.Parallel()
	d := models.Draft{
		FileName: "a", ResourceID: "s", SendersReference: "r", Sender: "0192:310000027", Recipients: []string{"0192:310000035"}, SHA256: strings.Repeat("0", 64),
	}
	plain, err := models.NewSubmission(d, 10)
	require.NoError(t, err)
	d.Proof = "x"
	proven, err := models.NewSubmission(d, 10)
	require.NoError(t, err)
	require.Equal(t, plain.RequestHash, proven.RequestHash)
	require.Equal(t, "x", proven.Proof)
	d.Proof = strings.Repeat("x", models.MaxProof+1)
	_, err = models.NewSubmission(d, 10)
	e, ok := models.AsError(err)
	require.True(t, ok)
	require.Equal(t, "proof", e.Fields[0].Field)
	d.Proof, d.SHA256 = "x", ""
	_, err = models.NewSubmission(d, 10)
	e, _ = models.AsError(err)
	require.Equal(t, "proof", e.Fields[0].Field)
}
