package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// entries reads what a chain has written down.
func (b *bundle) entries(t testing.TB, id uuid.UUID) []models.Receipt {
	t.Helper()
	var rows []models.ReceiptEntry
	require.NoError(t, b.read.Order("seq").Find(&rows, "transfer_id = ?", id).Error)
	out := make([]models.Receipt, len(rows))
	for i, r := range rows {
		require.Equal(t, i+1, r.Seq, "the chain has no gap")
		require.NoError(t, json.Unmarshal([]byte(r.Entry), &out[i]))
		require.Equal(t, out[i].Recipient, r.Recipient)
	}
	return out
}

func names(rs []models.Receipt) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = r.Event.Name()
		if r.Recipient != "" {
			out[i] += " " + r.Recipient.Number()
		}
	}
	return out
}

func by(p models.Party, thumbprint string) models.Caller {
	return models.Caller{Party: p, Credential: models.Credential{Method: models.LoginCertificate, Thumbprint: thumbprint}}
}

func TestReceipts_TellAWholeLife(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		sub := submission(bob, carol)
		sub.By = by("", "alice's")
		_, err := b.AcceptTransfer(ctx, sub, "run", time.Hour)
		require.NoError(t, err)
		_, err = b.AcceptTransfer(ctx, sub, "run", time.Hour)
		require.NoError(t, err, "a repeat writes nothing")
		id, attempt := sub.ID, b.stage(t, sub.ID)
		require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0))
		require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0))
		access, err := b.BeginAccess(ctx, id, by(bob, "bob's"), 0, 3)
		require.NoError(t, err)
		require.NoError(t, b.EndAccess(ctx, access, 3))
		st := models.Statement{TransferID: id, Party: bob, Kind: models.StatementConfirmation, Status: "ok", Text: "thanks", Actor: *models.NewReceiptActor(by(bob, "bob's"))}
		require.NoError(t, b.State(ctx, st))
		_, err = b.ConfirmDelivery(ctx, id, bob)
		require.NoError(t, err)
		_, err = b.ConfirmDelivery(ctx, id, bob)
		require.NoError(t, err)
		require.NoError(t, b.PurgeTransfer(ctx, id))
		require.NoError(t, b.PurgeTransfer(ctx, id))

		got := b.entries(t, id)
		require.Equal(t, []string{
			"TransferAuthorization", "SubmissionAcceptance", "ContentConsignment 310000035", "ContentConsignment 310000043",
			"ContentHandover 310000035", "ContentAccessTracking 310000035",
			"ContentHandoverFailure 310000043", "TransferExpiry", "ContentPurge",
		}, names(got))
		first := got[0]
		require.Equal(t, &models.ReceiptActor{Organisation: alice, Login: models.LoginCertificate, Thumbprint: "alice's"}, first.Actor)
		require.Equal(t, "grant/"+string(alice), first.Right.By)
		require.Positive(t, first.Right.Version)
		require.Equal(t, []models.Party{bob, carol}, first.To.List)
		require.Equal(t, &models.ReceiptFile{Size: 3, SHA256: "s", MD5: "m"}, got[1].File)
		require.Equal(t, int64(3), got[4].Served.Bytes)
		require.True(t, got[4].Served.Whole)
		require.Equal(t, "grant/"+string(bob), got[4].Right.By)
		require.Equal(t, "bob's", got[5].Actor.Thumbprint)
		require.Equal(t, &models.ReceiptClaim{Status: "ok", Text: "thanks"}, got[5].Claim)
		require.Equal(t, "expired", got[6].Reason.Code)
	})
}

func TestReceipts_NameTheAccessListThatPermits(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx, member := t.Context(), models.Party("0192:310000051")
		_, _, err := b.PutAccessList(ctx, as(owner), models.AccessList{Owner: owner, ID: "members", Name: "Members"}, always)
		require.NoError(t, err)
		_, err = b.ChangeMembers(ctx, as(owner), "members", models.MemberChange{Put: []models.AccessListMember{{Organisation: member}}}, always)
		require.NoError(t, err)
		n := models.AccessListConnection{ListID: "members", ResourceID: svc, Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}}
		n, _, err = b.PutAccessListConnection(ctx, as(owner), n, always)
		require.NoError(t, err)
		sub := submission(bob)
		sub.Sender = models.Addressee{Party: member, AsGiven: string(member)}
		_, err = b.AcceptTransfer(ctx, sub, "run", time.Hour)
		require.NoError(t, err)
		require.Equal(t, &models.ReceiptRight{By: "access-list/members", Version: n.Version}, b.entries(t, sub.ID)[0].Right)
	})
}

func TestReceipts_TellOfRefusalCancellationAndFailure(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		refused := submission(bob)
		reason := models.ReceiptReason{Code: "BRO-00006", Text: "no"}
		for _, run := range []string{"run", "run", "second run"} { // once for each
			receipted, err := b.RecordRefusal(ctx, refused, run, reason)
			require.NoError(t, err)
			require.True(t, receipted)
		}
		require.Equal(t, []string{"SubmissionRejection", "SubmissionRejection"}, names(b.entries(t, refused.ID)))
		_, err := b.AcceptTransfer(ctx, refused, "third run", time.Hour)
		require.NoError(t, err, "it may be sent again, and its chain goes on")
		require.Len(t, b.entries(t, refused.ID), 3)

		cancelled := b.publish(t, bob)
		st := models.Statement{TransferID: cancelled, Party: alice, Kind: models.StatementCancellation, Actor: *models.NewReceiptActor(by(alice, "a"))}
		require.NoError(t, b.State(ctx, st))
		require.NoError(t, b.CancelTransfer(ctx, cancelled))
		got := b.entries(t, cancelled)
		require.Equal(t, "TransferCancellation", names(got)[len(got)-1])
		require.Equal(t, "a", got[len(got)-1].Actor.Thumbprint)

		failed := b.accept(t, bob)
		require.NoError(t, b.FailTransfer(ctx, failed, models.FaultChecksum))
		got = b.entries(t, failed)
		require.Equal(t, []string{"TransferAuthorization", "SubmissionRejection"}, names(got))
		require.Equal(t, models.FaultChecksum, got[1].Reason.Text)
	})
}

func TestRecordDiscarded_TellsOnceThatContentIsGone(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		cancelled, failed, empty, purged := b.publish(t, bob), b.accept(t, bob), b.accept(t, bob), b.publish(t, bob)
		b.stage(t, failed)
		require.NoError(t, b.RecordDiscarded(ctx, cancelled), "it lives")
		require.NoError(t, b.CancelTransfer(ctx, cancelled))
		require.NoError(t, b.FailTransfer(ctx, failed, models.FaultChecksum))
		require.NoError(t, b.CancelTransfer(ctx, empty))
		require.NoError(t, b.PurgeTransfer(ctx, purged))
		before := len(b.events(t, alice))
		for range 2 {
			for _, id := range []uuid.UUID{cancelled, failed, empty, purged} {
				require.NoError(t, b.RecordDiscarded(ctx, id))
			}
		}
		require.Equal(t, []string{"filepurged", "filepurged"}, b.events(t, alice)[before:])
		last := func(id uuid.UUID) models.Receipt { all := b.entries(t, id); return all[len(all)-1] }
		require.Equal(t, models.ReceiptPurged, last(cancelled).Event)
		require.Equal(t, int64(3), last(cancelled).File.Size)
		require.Equal(t, models.ReceiptPurged, last(failed).Event)
		require.Nil(t, last(failed).File, "none was accepted")
		require.Equal(t, models.ReceiptCancelled, last(empty).Event)
		require.Len(t, b.entries(t, purged), 6)
		require.Equal(t, []string{"published", "published", "cancelled", "fileneverconfirmeddownloaded"}, b.events(t, bob), "nothing new to the recipient")
	})
}

// Facts that the API appended become receipts when a workflow next acts, also after the transfer has ended.
func TestReceiptFacts_BecomeReceiptsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		told, deaf := b.subscribe(t, bob), b.subscribe(t, bob)
		id := b.publish(t, bob)
		for range 3 { // ranges, one of which broke off
			access, err := b.BeginAccess(ctx, id, as(bob), 0, 2)
			require.NoError(t, err)
			require.NoError(t, b.EndAccess(ctx, access, 2))
		}
		access, err := b.BeginAccess(ctx, id, as(bob), 0, 3)
		require.NoError(t, err)
		require.NoError(t, b.EndAccess(ctx, access, 1))
		running, err := b.BeginAccess(ctx, id, as(bob), 0, 3)
		require.NoError(t, err)
		offered, err := b.EventsAfter(ctx, bob, 0, models.EventFilter{Types: []string{string(models.EventPublished)}}, 10)
		require.NoError(t, err)
		require.Len(t, offered, 1)
		moved, err := b.AdvanceSubscription(ctx, told, offered[0])
		require.NoError(t, err)
		require.True(t, moved)
		disabled, err := b.FailSubscription(ctx, deaf, &offered[0], "http://10.1.2.3 said no", b.clock.read(), true)
		require.NoError(t, err)
		require.True(t, disabled)
		before := len(b.entries(t, id))
		with, err := b.TransfersWithFacts(ctx, nil, 10)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{id}, with)
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.NoError(t, b.ReceiptFacts(ctx, id))
		got := b.entries(t, id)[before:]
		require.ElementsMatch(t, []string{
			"ContentHandover 310000035", "ContentHandoverFailure 310000035", "ConsignmentNotification 310000035", "ConsignmentNotificationFailure 310000035",
		}, names(got))
		for _, r := range got {
			if r.Event == models.ReceiptHandedOver {
				require.Equal(t, 3, r.Served.Downloads)
				require.Equal(t, int64(6), r.Served.Bytes)
				require.False(t, r.Served.Whole)
			}
		}
		require.NoError(t, b.EndAccess(ctx, running, 3))
		_, err = b.ConfirmDelivery(ctx, id, bob)
		require.NoError(t, err)
		require.NoError(t, b.PurgeTransfer(ctx, id))
		st := models.Statement{TransferID: id, Party: bob, Kind: models.StatementAcknowledgement, Status: "validationFailed", Actor: *models.NewReceiptActor(as(bob))}
		require.NoError(t, b.State(ctx, st))
		require.NoError(t, b.State(ctx, st), "the same again is said once")
		require.NoError(t, b.ReceiptFacts(ctx, id))
		all := names(b.entries(t, id))
		require.Equal(t, []string{"ContentHandover 310000035", "ContentAccessTracking 310000035", "ContentPurge", "BusinessAcknowledgement 310000035"}, all[len(all)-4:])
		with, err = b.TransfersWithFacts(ctx, nil, 10)
		require.NoError(t, err)
		require.Empty(t, with)
	})
}

func TestState_KeepsABoundedNumberOfWords(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.publish(t, bob)
		st := models.Statement{TransferID: id, Party: bob, Kind: models.StatementAcknowledgement}
		for n := range maxStatements {
			st.Text = time.Duration(n).String()
			require.NoError(t, b.State(t.Context(), st))
		}
		st.Text = "one more"
		require.ErrorIs(t, b.State(t.Context(), st), models.ErrSaidEnough)
		st.Party = alice
		require.NoError(t, b.State(t.Context(), st))
	})
}

// unsigned has the form of a receipt.
func unsigned(entry string) string {
	return "x." + base64.RawURLEncoding.EncodeToString([]byte(entry)) + ".x"
}

// fakeSign signs a chain's outstanding receipts as somebody else would, without a key.
func (b *bundle) fakeSign(t testing.TB, id uuid.UUID, who string) bool {
	t.Helper()
	chain, rows, err := b.OutstandingReceipts(background, id, 100)
	require.NoError(t, err)
	if len(rows) == 0 {
		return false
	}
	signed := make([]models.SignedReceipt, len(rows))
	for i, r := range rows {
		jws := who + unsigned(r.Entry)
		signed[i] = models.SignedReceipt{TransferID: id, Seq: r.Seq, Recipient: r.Recipient, JWS: jws, Hash: models.ReceiptHash(jws)}
	}
	inserted, err := b.InsertReceipts(background, chain, signed)
	require.NoError(t, err)
	return inserted
}

func TestInsertReceipts_OfTwoSignersOneIsHeard(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		for range 10 {
			id := b.publish(t, bob, carol)
			var wg sync.WaitGroup
			var heard [4]bool
			for n := range heard {
				wg.Go(func() { heard[n] = b.fakeSign(t, id, string(rune('a'+n))) })
			}
			wg.Wait()
			winners := 0
			for _, h := range heard {
				if h {
					winners++
				}
			}
			require.Equal(t, 1, winners)
			_, rows, err := b.ReceiptsOf(t.Context(), id, alice, 0, 100)
			require.NoError(t, err)
			require.Len(t, rows, 4)
			for _, r := range rows {
				require.Equal(t, rows[0].JWS[:1], r.JWS[:1], "all of one signer")
			}
		}
	})
}

func TestReceiptsOf_ShowsTheSenderAllAndARecipientItsOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.publish(t, bob, carol)
		b.fakeSign(t, id, "x")
		_, all, err := b.ReceiptsOf(t.Context(), id, alice, 0, 100)
		require.NoError(t, err)
		require.Len(t, all, 4)
		_, page, err := b.ReceiptsOf(t.Context(), id, alice, 2, 1)
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.Equal(t, 3, page[0].Seq)
		_, own, err := b.ReceiptsOf(t.Context(), id, bob, 0, 100)
		require.NoError(t, err)
		require.Len(t, own, 1)
		require.Equal(t, bob, own[0].Recipient)
		for _, who := range []models.Party{owner, "0192:999999999"} {
			_, _, err = b.ReceiptsOf(t.Context(), id, who, 0, 100)
			require.ErrorIs(t, err, models.ErrTransferNotFound)
		}
		_, _, err = b.ReceiptsOf(t.Context(), uuid.New(), alice, 0, 100)
		require.ErrorIs(t, err, models.ErrTransferNotFound)
	})
}

func TestReceipts_AreNeverChangedThroughTheDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id := b.publish(t, bob)
		b.fakeSign(t, id, "x")
		n, err := b.AssignLeaves(t.Context(), 100)
		require.NoError(t, err)
		require.Equal(t, 4, n, "three receipts and the head of the owner's audit")
		require.NoError(t, b.InsertCheckpoint(t.Context(), models.LogCheckpoint{Size: 4, Root: "r"}))
		for _, table := range []string{"receipt_entries", "signed_receipts", "log_leaves", "log_checkpoints"} {
			column := map[string]string{"receipt_entries": "entry", "signed_receipts": "jws", "log_leaves": "hash", "log_checkpoints": "root"}[table]
			statements := []string{"UPDATE " + table + " SET " + column + " = 'x'", "DELETE FROM " + table}
			if b.dialect == dialectPostgres {
				statements = append(statements, "TRUNCATE "+table+" CASCADE")
			}
			for _, s := range statements {
				require.ErrorContains(t, b.write.Exec(s).Error, "never changed", s)
			}
		}
		require.NoError(t, b.VerifyLog(t.Context()))
	})
}

// note appends that a recipient was told, as whoever tells it does.
func (b *bundle) note(ctx context.Context, n models.Notification) error {
	return b.transact(ctx, "record notification", func(tx *gorm.DB) error {
		n.At = b.Store.clock()
		return noteNotification(tx, n)
	})
}
