package receipts_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/receipts"
	"github.com/formidling/formidling/store/storetest"
)

func TestReceipts_TellAWholeLife(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		sub := storetest.Submission(storetest.Bob, storetest.Carol)
		sub.By = storetest.By("", "alice's")
		_, err := b.AcceptTransfer(ctx, sub, "run", time.Hour)
		require.NoError(t, err)
		_, err = b.AcceptTransfer(ctx, sub, "run", time.Hour)
		require.NoError(t, err, "a repeat writes nothing")
		id, attempt := sub.ID, b.Stage(t, sub.ID)
		require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0))
		require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0))
		access, err := b.BeginAccess(ctx, id, storetest.By(storetest.Bob, "bob's"), 0, 3)
		require.NoError(t, err)
		require.NoError(t, b.EndAccess(ctx, access, 3))
		st := models.Statement{TransferID: id, Party: storetest.Bob, Kind: models.StatementConfirmation, Status: "ok", Text: "thanks", Actor: *models.NewReceiptActor(storetest.By(storetest.Bob, "bob's"))}
		require.NoError(t, b.AppendStatement(ctx, st))
		_, err = b.ConfirmTransfer(ctx, id, storetest.Bob)
		require.NoError(t, err)
		_, err = b.ConfirmTransfer(ctx, id, storetest.Bob)
		require.NoError(t, err)
		require.NoError(t, b.PurgeTransfer(ctx, id))
		require.NoError(t, b.PurgeTransfer(ctx, id))

		got := b.Entries(t, id)
		require.Equal(t, []string{
			"TransferAuthorization", "SubmissionAcceptance", "ContentConsignment 310000035", "ContentConsignment 310000043",
			"ContentHandover 310000035", "ContentAccessTracking 310000035",
			"ContentHandoverFailure 310000043", "TransferExpiry", "ContentPurge",
		}, storetest.ReceiptNames(got))
		first := got[0]
		require.Equal(t, &models.ReceiptActor{Organisation: storetest.Alice, Login: models.LoginCertificate, Thumbprint: "alice's"}, first.Actor)
		require.Equal(t, "grant/"+string(storetest.Alice), first.Right.By)
		require.Positive(t, first.Right.Version)
		require.Equal(t, []models.Party{storetest.Bob, storetest.Carol}, first.To.List)
		require.Equal(t, &models.ReceiptFile{Size: 3, SHA256: "s", MD5: "m"}, got[1].File)
		require.Equal(t, int64(3), got[4].Served.Bytes)
		require.True(t, got[4].Served.Whole)
		require.Equal(t, "grant/"+string(storetest.Bob), got[4].Right.By)
		require.Equal(t, "bob's", got[5].Actor.Thumbprint)
		require.Equal(t, &models.ReceiptClaim{Status: "ok", Text: "thanks"}, got[5].Claim)
		require.Equal(t, "expired", got[6].Reason.Code)
	})
}

func TestReceipts_NameTheAccessListThatPermits(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx, member := t.Context(), models.Party("0192:310000051")
		_, _, err := b.PutAccessList(ctx, storetest.As(storetest.Owner), models.AccessList{Owner: storetest.Owner, ID: "members", Name: "Members"}, storetest.Always)
		require.NoError(t, err)
		_, err = b.ChangeMembers(ctx, storetest.As(storetest.Owner), "members", models.MemberChange{Put: []models.AccessListMember{{Organisation: member}}}, storetest.Always)
		require.NoError(t, err)
		n := models.AccessListConnection{ListID: "members", ResourceID: storetest.Service, Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}}
		n, _, err = b.PutAccessListConnection(ctx, storetest.As(storetest.Owner), n, storetest.Always)
		require.NoError(t, err)
		sub := storetest.Submission(storetest.Bob)
		sub.Sender = models.Addressee{Party: member, AsGiven: string(member)}
		_, err = b.AcceptTransfer(ctx, sub, "run", time.Hour)
		require.NoError(t, err)
		require.Equal(t, &models.ReceiptRight{By: "access-list/members", Version: n.Version}, b.Entries(t, sub.ID)[0].Right)
	})
}

func TestReceipts_TellOfRefusalCancellationAndFailure(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		refused := storetest.Submission(storetest.Bob)
		reason := models.ReceiptReason{Code: "BRO-00006", Text: "no"}
		for _, run := range []string{"run", "run", "second run"} { // once for each
			receipted, err := b.RecordRefusal(ctx, refused, run, reason)
			require.NoError(t, err)
			require.True(t, receipted)
		}
		require.Equal(t, []string{"SubmissionRejection", "SubmissionRejection"}, storetest.ReceiptNames(b.Entries(t, refused.ID)))
		_, err := b.AcceptTransfer(ctx, refused, "third run", time.Hour)
		require.NoError(t, err, "it may be sent again, and its chain goes on")
		require.Len(t, b.Entries(t, refused.ID), 3)

		cancelled := b.Publish(t, storetest.Bob)
		st := models.Statement{TransferID: cancelled, Party: storetest.Alice, Kind: models.StatementCancellation, Actor: *models.NewReceiptActor(storetest.By(storetest.Alice, "a"))}
		require.NoError(t, b.AppendStatement(ctx, st))
		require.NoError(t, b.CancelTransfer(ctx, cancelled))
		got := b.Entries(t, cancelled)
		require.Equal(t, "TransferCancellation", storetest.ReceiptNames(got)[len(got)-1])
		require.Equal(t, "a", got[len(got)-1].Actor.Thumbprint)

		failed := b.Accept(t, storetest.Bob)
		require.NoError(t, b.FailTransfer(ctx, failed, models.FaultChecksum))
		got = b.Entries(t, failed)
		require.Equal(t, []string{"TransferAuthorization", "SubmissionRejection"}, storetest.ReceiptNames(got))
		require.Equal(t, models.FaultChecksum, got[1].Reason.Text)
	})
}

func TestRecordDiscarded_TellsOnceThatContentIsGone(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		cancelled, failed, empty, purged := b.Publish(t, storetest.Bob), b.Accept(t, storetest.Bob), b.Accept(t, storetest.Bob), b.Publish(t, storetest.Bob)
		b.Stage(t, failed)
		require.NoError(t, b.RecordDiscarded(ctx, cancelled), "it lives")
		require.NoError(t, b.CancelTransfer(ctx, cancelled))
		require.NoError(t, b.FailTransfer(ctx, failed, models.FaultChecksum))
		require.NoError(t, b.CancelTransfer(ctx, empty))
		require.NoError(t, b.PurgeTransfer(ctx, purged))
		before := len(b.EventTypes(t, storetest.Alice))
		for range 2 {
			for _, id := range []uuid.UUID{cancelled, failed, empty, purged} {
				require.NoError(t, b.RecordDiscarded(ctx, id))
			}
		}
		require.Equal(t, []string{"filepurged", "filepurged"}, b.EventTypes(t, storetest.Alice)[before:])
		last := func(id uuid.UUID) models.Receipt { all := b.Entries(t, id); return all[len(all)-1] }
		require.Equal(t, models.ReceiptPurged, last(cancelled).Event)
		require.Equal(t, int64(3), last(cancelled).File.Size)
		require.Equal(t, models.ReceiptPurged, last(failed).Event)
		require.Nil(t, last(failed).File, "none was accepted")
		require.Equal(t, models.ReceiptCancelled, last(empty).Event)
		require.Len(t, b.Entries(t, purged), 6)
		require.Equal(t, []string{"published", "published", "cancelled", "fileneverconfirmeddownloaded"}, b.EventTypes(t, storetest.Bob), "nothing new to the recipient")
	})
}

// Facts that the API appended become receipts when a workflow next acts, also after the transfer has ended.
func TestReceiptFacts_BecomeReceiptsOnce(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		told, deaf := b.Subscribe(t, storetest.Bob), b.Subscribe(t, storetest.Bob)
		id := b.Publish(t, storetest.Bob)
		for range 3 { // ranges, one of which broke off
			access, err := b.BeginAccess(ctx, id, storetest.As(storetest.Bob), 0, 2)
			require.NoError(t, err)
			require.NoError(t, b.EndAccess(ctx, access, 2))
		}
		access, err := b.BeginAccess(ctx, id, storetest.As(storetest.Bob), 0, 3)
		require.NoError(t, err)
		require.NoError(t, b.EndAccess(ctx, access, 1))
		running, err := b.BeginAccess(ctx, id, storetest.As(storetest.Bob), 0, 3)
		require.NoError(t, err)
		offered, err := b.EventsAfter(ctx, storetest.Bob, 0, models.EventFilter{Types: []string{string(models.EventPublished)}}, 10)
		require.NoError(t, err)
		require.Len(t, offered, 1)
		moved, err := b.AdvanceSubscription(ctx, told, offered[0])
		require.NoError(t, err)
		require.True(t, moved)
		disabled, err := b.FailSubscription(ctx, deaf, &offered[0], "http://10.1.2.3 said no", b.Clock.Read(), true)
		require.NoError(t, err)
		require.True(t, disabled)
		before := len(b.Entries(t, id))
		with, err := b.TransfersWithFacts(ctx, nil, 10)
		require.NoError(t, err)
		require.Equal(t, []uuid.UUID{id}, with)
		require.NoError(t, b.ReceiptFacts(ctx, id))
		require.NoError(t, b.ReceiptFacts(ctx, id))
		got := b.Entries(t, id)[before:]
		require.ElementsMatch(t, []string{
			"ContentHandover 310000035", "ContentHandoverFailure 310000035", "ConsignmentNotification 310000035", "ConsignmentNotificationFailure 310000035",
		}, storetest.ReceiptNames(got))
		for _, r := range got {
			if r.Event == models.ReceiptHandedOver {
				require.Equal(t, 3, r.Served.Downloads)
				require.Equal(t, int64(6), r.Served.Bytes)
				require.False(t, r.Served.Whole)
			}
		}
		require.NoError(t, b.EndAccess(ctx, running, 3))
		_, err = b.ConfirmTransfer(ctx, id, storetest.Bob)
		require.NoError(t, err)
		require.NoError(t, b.PurgeTransfer(ctx, id))
		st := models.Statement{TransferID: id, Party: storetest.Bob, Kind: models.StatementAcknowledgement, Status: "validationFailed", Actor: *models.NewReceiptActor(storetest.As(storetest.Bob))}
		require.NoError(t, b.AppendStatement(ctx, st))
		require.NoError(t, b.AppendStatement(ctx, st), "the same again is said once")
		require.NoError(t, b.ReceiptFacts(ctx, id))
		all := storetest.ReceiptNames(b.Entries(t, id))
		require.Equal(t, []string{"ContentHandover 310000035", "ContentAccessTracking 310000035", "ContentPurge", "BusinessAcknowledgement 310000035"}, all[len(all)-4:])
		with, err = b.TransfersWithFacts(ctx, nil, 10)
		require.NoError(t, err)
		require.Empty(t, with)
	})
}

func TestAppendStatement_KeepsABoundedNumberOfWords(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob)
		st := models.Statement{TransferID: id, Party: storetest.Bob, Kind: models.StatementAcknowledgement}
		for n := range receipts.MaxStatements {
			st.Text = time.Duration(n).String()
			require.NoError(t, b.AppendStatement(t.Context(), st))
		}
		st.Text = "one more"
		require.ErrorIs(t, b.AppendStatement(t.Context(), st), models.ErrSaidEnough)
		st.Party = storetest.Alice
		require.NoError(t, b.AppendStatement(t.Context(), st))
	})
}

// fakeSign signs a chain's outstanding receipts as somebody else would, without a key.
func fakeSign(b *storetest.Bundle, t testing.TB, id uuid.UUID, who string) bool {
	t.Helper()
	chain, rows, err := b.OutstandingReceipts(context.Background(), id, 100)
	require.NoError(t, err)
	if len(rows) == 0 {
		return false
	}
	signed := make([]models.SignedReceipt, len(rows))
	for i, r := range rows {
		jws := who + storetest.Unsigned(r.Entry)
		signed[i] = models.SignedReceipt{TransferID: id, Seq: r.Seq, Recipient: r.Recipient, JWS: jws, Hash: models.ReceiptHash(jws)}
	}
	inserted, err := b.InsertReceipts(context.Background(), chain, signed)
	require.NoError(t, err)
	return inserted
}

func TestInsertReceipts_OfTwoSignersOneIsHeard(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		for range 10 {
			id := b.Publish(t, storetest.Bob, storetest.Carol)
			var wg sync.WaitGroup
			var heard [4]bool
			for n := range heard {
				wg.Go(func() { heard[n] = fakeSign(b, t, id, string(rune('a'+n))) })
			}
			wg.Wait()
			winners := 0
			for _, h := range heard {
				if h {
					winners++
				}
			}
			require.Equal(t, 1, winners)
			_, rows, err := b.ReceiptsOf(t.Context(), id, storetest.Alice, 0, 100)
			require.NoError(t, err)
			require.Len(t, rows, 4)
			for _, r := range rows {
				require.Equal(t, rows[0].JWS[:1], r.JWS[:1], "all of one signer")
			}
		}
	})
}

func TestReceiptsOf_ShowsTheSenderAllAndARecipientItsOwn(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob, storetest.Carol)
		fakeSign(b, t, id, "x")
		_, all, err := b.ReceiptsOf(t.Context(), id, storetest.Alice, 0, 100)
		require.NoError(t, err)
		require.Len(t, all, 4)
		_, page, err := b.ReceiptsOf(t.Context(), id, storetest.Alice, 2, 1)
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.Equal(t, 3, page[0].Seq)
		_, own, err := b.ReceiptsOf(t.Context(), id, storetest.Bob, 0, 100)
		require.NoError(t, err)
		require.Len(t, own, 1)
		require.Equal(t, storetest.Bob, own[0].Recipient)
		for _, who := range []models.Party{storetest.Owner, "0192:999999999"} {
			_, _, err = b.ReceiptsOf(t.Context(), id, who, 0, 100)
			require.ErrorIs(t, err, models.ErrTransferNotFound)
		}
		_, _, err = b.ReceiptsOf(t.Context(), uuid.New(), storetest.Alice, 0, 100)
		require.ErrorIs(t, err, models.ErrTransferNotFound)
	})
}

func TestReceipts_AreNeverChangedThroughTheDatabase(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob)
		fakeSign(b, t, id, "x")
		n, err := b.AssignLeaves(t.Context(), 100)
		require.NoError(t, err)
		require.Equal(t, 4, n, "three receipts and the head of the owner's audit")
		require.NoError(t, b.InsertCheckpoint(t.Context(), models.LogCheckpoint{Size: 4, Root: "r"}))
		for _, table := range []string{"receipt_entries", "signed_receipts", "log_leaves", "log_checkpoints"} {
			column := map[string]string{"receipt_entries": "entry", "signed_receipts": "jws", "log_leaves": "hash", "log_checkpoints": "root"}[table]
			statements := []string{"UPDATE " + table + " SET " + column + " = 'x'", "DELETE FROM " + table}
			if b.DB().Dialect() == db.Postgres {
				statements = append(statements, "TRUNCATE "+table+" CASCADE")
			}
			for _, s := range statements {
				require.ErrorContains(t, b.DB().Write(t.Context()).Exec(s).Error, "never changed", s)
			}
		}
		require.NoError(t, b.VerifyLog(t.Context()))
	})
}

// The downloads were noted by processes whose clocks are ahead of the one that confirms, by more or by less.
func TestReceipts_OfOneTransactionHaveOneTime(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id := b.Publish(t, storetest.Bob)
		before := len(b.Entries(t, id))
		broken, err := b.BeginAccess(t.Context(), id, storetest.As(storetest.Bob), 0, 3)
		require.NoError(t, err)
		require.NoError(t, b.EndAccess(t.Context(), broken, 2))
		b.Clock.Advance(time.Minute)
		b.Download(t, id, storetest.Bob)
		b.Clock.Advance(-30 * time.Second)
		_, err = b.ConfirmTransfer(t.Context(), id, storetest.Bob)
		require.NoError(t, err)
		said := b.Entries(t, id)[before:]
		require.Len(t, said, 3, "a download that broke off, one that did not, and the confirmation")
		for _, r := range said {
			require.True(t, r.At.Equal(*said[1].Occurred), "%s at %s", r.Event.Name(), r.At)
		}
	})
}
