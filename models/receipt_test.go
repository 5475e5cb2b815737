package models

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestDescribe_SaysInOneSentenceWhatAReceiptTells(t *testing.T) {
	t.Parallel()
	r := Receipt{At: time.Unix(0, 0), Sender: sender, Recipient: recipient, Service: "svc", To: &ReceiptParties{Count: 2}, Served: &ReceiptServed{Downloads: 3, Bytes: 10}}
	want := map[string]string{
		"ReceiptAuthorized":         "the transfer of 0192:910000001 in service svc to 2 recipients was permitted",
		"ReceiptAccepted":           "the content was stored and verified",
		"ReceiptRefused":            "a submission of 0192:910000001 to service svc was refused",
		"ReceiptConsigned":          "the file was made available to 0192:910000002",
		"ReceiptNotified":           "0192:910000002 was notified",
		"ReceiptNotificationFailed": "0192:910000002 could not be notified",
		"ReceiptHandedOver":         "10 bytes were handed over to 0192:910000002 in 3 downloads",
		"ReceiptHandoverFailed":     "10 bytes were sent to 0192:910000002 in 3 downloads that broke off",
		"ReceiptConfirmed":          "0192:910000002 confirmed that it has the file",
		"ReceiptAcknowledged":       "a party said what it made of the file",
		"ReceiptSenderProof":        "the sender signed for the content itself",
		"ReceiptCancelled":          "the sender took the transfer back",
		"ReceiptExpired":            "the file expired before all had confirmed",
		"ReceiptPurged":             "the file was deleted",
	}
	events := map[string]ReceiptEvent{
		"ReceiptAuthorized": ReceiptAuthorized, "ReceiptAccepted": ReceiptAccepted, "ReceiptRefused": ReceiptRefused, "ReceiptConsigned": ReceiptConsigned,
		"ReceiptNotified": ReceiptNotified, "ReceiptNotificationFailed": ReceiptNotificationFailed, "ReceiptHandedOver": ReceiptHandedOver,
		"ReceiptHandoverFailed": ReceiptHandoverFailed, "ReceiptConfirmed": ReceiptConfirmed, "ReceiptAcknowledged": ReceiptAcknowledged,
		"ReceiptSenderProof": ReceiptSenderProof, "ReceiptCancelled": ReceiptCancelled, "ReceiptExpired": ReceiptExpired, "ReceiptPurged": ReceiptPurged,
	}
	for name := range declaredAs(parsed(t, "."), "ReceiptEvent") {
		require.Contains(t, want, name, "nobody says what it tells")
		r.Event = events[name]
		require.Equal(t, "1970-01-01T00:00:00Z "+want[name], Describe(r))
		require.Regexp(t, `^[A-Za-z]+$`, r.Event.Name())
	}
	require.Equal(t, "1970-01-01T00:00:00Z the file was not handed over to 0192:910000002", Describe(Receipt{At: r.At, Event: ReceiptHandoverFailed, Recipient: recipient}))
	require.Equal(t, "1970-01-01T00:00:00Z Later", Describe(Receipt{At: r.At, Event: "urn:formidling:receipt:Later"}))
}

func TestDescribe_SaysWhenAThingWasAndNotWhenItWasWrittenDown(t *testing.T) {
	t.Parallel()
	was := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := Receipt{At: was.Add(time.Hour), Occurred: &was, Event: ReceiptNotified, Recipient: "0192:910000002"}
	require.Equal(t, "2026-11-23T12:00:00Z 0192:910000002 was notified", Describe(r))
}

func TestDescribe_TellsWhoDidItAndWhatWasSaid(t *testing.T) {
	t.Parallel()
	by := NewReceiptActor(Caller{Party: recipient, Supplier: another, Credential: Credential{Method: LoginKeyToken, Issuer: "i", Thumbprint: "tp"}})
	require.Equal(t, &ReceiptActor{Organisation: recipient, Supplier: another, Login: LoginKeyToken, Issuer: "i", Thumbprint: "tp"}, by)
	got := Describe(Receipt{
		At: time.Unix(0, 0), Event: ReceiptConfirmed, Recipient: recipient, Actor: by, Right: &ReceiptRight{By: "grant/x", Version: 4, Delegation: &ReceiptRight{By: "delegation/y"}},
		Claim: &ReceiptClaim{Status: ClaimRejected, Text: "why \"so\"", SHA256: "ab"}, Reason: &ReceiptReason{Code: "BRO-00009", Text: "wrong"},
	})
	for _, part := range []string{
		", by 0192:910000002 through 0192:910000003 (key-token tp)", `, status "rejected", text "why \"so\"", SHA-256 found "ab"`, "grant/x", "delegation/y", ". Reason: BRO-00009 wrong",
	} {
		require.Contains(t, got, part)
	}
	require.NotContains(t, got, "proof")
}

func TestReadReceipt_ReadsThePayloadOfACompactJWS(t *testing.T) {
	t.Parallel()
	r := Receipt{ID: uuid.New(), Event: ReceiptPurged, At: time.Unix(1, 0).UTC(), Sender: sender, Seq: 3}
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	got, err := ReadReceipt("h." + base64.RawURLEncoding.EncodeToString(raw) + ".s")
	require.NoError(t, err)
	require.Equal(t, r, got)
	for _, bad := range []string{"", "a.b", "h.!.s", "h.e30", "h." + base64.RawURLEncoding.EncodeToString([]byte("[")) + ".s"} {
		_, err := ReadReceipt(bad)
		require.ErrorContains(t, err, "read receipt", bad)
	}
}

func TestClaim_IsCheckedFieldByField(t *testing.T) {
	t.Parallel()
	require.NoError(t, Claim{}.Check())
	require.NoError(t, Claim{Status: ClaimOK, Text: strings.Repeat("æ", MaxReceiptText), SHA256: strings.Repeat("a", 64), Proof: "p"}.Check(ClaimOK))
	for field, c := range map[string]Claim{
		"text": {Text: "\x00"}, "status": {Status: ClaimUnexpectedError}, "sha256": {SHA256: "x"}, "proof": {Proof: strings.Repeat("p", MaxProof+1)},
	} {
		require.Equal(t, []string{field}, fields(t, c.Check(ClaimOK, ClaimRejected)))
	}
	require.NotEmpty(t, fields(t, Claim{Text: strings.Repeat("æ", MaxReceiptText+1)}.Check()))
}

func TestReceiptParts_NameBytesByTheirHash(t *testing.T) {
	t.Parallel()
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	require.Equal(t, abc, ReceiptHash("abc"))
	require.Nil(t, Statement{}.Claim())
	require.Equal(t, &ReceiptClaim{Status: "s", Text: "t", SHA256: "h", Proof: abc}, Statement{Status: "s", Text: "t", SHA256: "h", Proof: "abc"}.Claim())
	require.Equal(t, StatedProof{Party: sender, SHA256: "h", Proof: abc}, BundledProof{Party: sender, SHA256: "h", JWS: "abc"}.Stated())
	require.Equal(t, "log_leaves", LogLeaf{}.TableName())
	id := uuid.MustParse("019ac3a6-5f6b-7c1e-9d52-2f3f7d1c2b11")
	require.JSONEq(t, `{"transfer":"019ac3a6-5f6b-7c1e-9d52-2f3f7d1c2b11","sha256":"h"}`, string(ProofPayload(id, "h")))
	require.Equal(t, "ææ", Shortened("ææ", 2))
	require.Equal(t, "æ…", Shortened("æææ", 2))

	few := NewReceiptParties([]Addressee{{Party: sender}, {Party: recipient}})
	require.Equal(t, []Party{sender, recipient}, few.List)
	require.NotEqual(t, few.SHA256, NewReceiptParties([]Addressee{{Party: recipient}, {Party: sender}}).SHA256, "the order counts")
	require.Len(t, NewReceiptParties(make([]Addressee, MaxReceiptParties)).List, MaxReceiptParties, "as many as may be listed")
	many := NewReceiptParties(make([]Addressee, MaxReceiptParties+1))
	require.Equal(t, MaxReceiptParties+1, many.Count)
	require.Empty(t, many.List)
}
