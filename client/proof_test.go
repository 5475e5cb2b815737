package client

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proofs tells who signed for a transfer's content, as a party's bundle has it, and how many of them for the submission.
func (b *bundle) proofs(as string, id FileTransferID) (signers []string, submissions int) {
	b.t.Helper()
	var out struct {
		Proofs []struct{ Party, SHA256, JWS, Payload string }
	}
	response, err := b.as(as).API.GetReceiptBundle(b.t.Context(), id)
	require.NoError(b.t, err)
	raw, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, response.Body.Close())
	require.Equal(b.t, http.StatusOK, response.StatusCode, string(raw))
	require.NoError(b.t, json.Unmarshal(raw, &out))
	for _, p := range out.Proofs {
		if p.Payload != "" {
			submissions++
		} else {
			signers = append(signers, strings.TrimPrefix(p.Party, "0192:"))
		}
	}
	return signers, submissions
}

func TestSend_SignsForWhatItSends(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(3 << 20)
	for name, way := range map[string]struct {
		source      Source
		options     SendOptions
		submissions int
	}{
		"plain":    {FromReaderAt(bytes.NewReader(content), int64(len(content))), SendOptions{Way: WayPlain}, 1},
		"tus":      {FromReaderAt(bytes.NewReader(content), int64(len(content))), SendOptions{Way: WayTus}, 1},
		"parallel": {FromReaderAt(bytes.NewReader(content), int64(len(content))), SendOptions{Way: WayTus, Parts: 3}, 1},
		"stream":   {FromReader(bytes.NewReader(content)), SendOptions{}, 0},
	} {
		way.options.Proof = b.certificate(alice)
		sent, err := b.as(alice).Send(t.Context(), b.transfer(func(t *Transfer) { t.Reference = "æ \"ref\"" }), way.source, way.options)
		require.NoError(t, err, name)
		require.Eventually(t, func() bool {
			signers, submissions := b.proofs(alice, sent.ID)
			return len(signers) == 1 && signers[0] == alice && submissions == way.submissions
		}, 30*time.Second, 50*time.Millisecond, name)
		signers, submissions := b.proofs(bob, sent.ID)
		require.Equal(t, []string{alice}, signers, name)
		require.Equal(t, way.submissions, submissions, "it is the only recipient")
	}
	_, err := b.as(alice).Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(content), 1), SendOptions{Undeclared: true, Proof: b.certificate(alice)})
	require.ErrorContains(t, err, "checksum")
	_, err = b.as(alice).Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(content), 1), SendOptions{Proof: b.certificate(bob)})
	require.ErrorIs(t, err, ErrRefused, "it is not the sender's")
}

func TestReceiveFile_SignsForWhatItConfirms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish(noise(1000))
	got, err := b.as(bob).ReceiveFile(t.Context(), id, FileOptions{Directory: t.TempDir(), Confirm: true, Proof: b.certificate(bob)})
	require.NoError(t, err)
	require.True(t, got.Confirmed)
	require.Eventually(t, func() bool { signers, _ := b.proofs(bob, id); return len(signers) == 1 && signers[0] == bob }, 30*time.Second, 50*time.Millisecond)

	id = b.publish(noise(1001))
	in, err := b.as(bob).Receive(t.Context(), id, ReceiveOptions{})
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, in)
	require.NoError(t, err)
	require.ErrorIs(t, b.as(bob).ConfirmProven(t.Context(), id, sum([]byte("other")), b.certificate(bob)), ErrRefused)
	require.NoError(t, b.as(bob).ConfirmProven(t.Context(), id, in.SHA256, b.certificate(bob)))
}

// What is signed is what the broker expects to the byte: RFC 8785, and here as JavaScript writes it.
func TestSubmissionProof_IsCanonical(t *testing.T) {
	t.Parallel()
	declared := sum(nil)
	got := SubmissionProof(FileTransferInitialize{
		ResourceID: "urn:altinn:resource:svc", Sender: "0192:" + alice, Sha256: &declared, SendersFileTransferReference: "<&>\u2028\\\"\n\x02",
		Recipients: []string{"urn:altinn:organization:identifier-no:" + carol, "0192:" + bob, "0192:" + carol},
	}, "k")
	require.Equal(t, `{"idempotencyKey":"k","recipients":["0192:310000043","0192:310000035"],"reference":"<&>`+"\u2028"+
		`\\\"\n\u0002","sender":"0192:310000027","service":"svc","sha256":"`+declared+`"}`, string(got))
}

func TestSignProof_NeedsAKeyThatSigns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := *b.certificate(alice)
	proof, err := SignProof(&c, []byte("payload"))
	require.NoError(t, err)
	parts := strings.Split(proof, ".")
	require.Len(t, parts, 3)
	require.Empty(t, parts[1], "it is detached")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	require.NoError(t, err)
	require.Contains(t, string(header), `"x5c"`)
	c.PrivateKey = nil
	_, err = SignProof(&c, nil)
	require.Error(t, err)
	c.Certificate = nil
	_, err = SignProof(&c, nil)
	require.Error(t, err)
}
