package store

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

const vendor = models.Party("0192:310000060")

// through is somebody for whom a supplier acts.
func through(p models.Party, thumbprint string) models.Caller {
	c := by(p, thumbprint)
	c.Supplier = vendor
	return c
}

// delegated is a life in which suppliers act for the sender and a recipient; carol is a recipient by an access list.
func (b *bundle) delegatedLife(t *testing.T) (id uuid.UUID, versions map[string]int64) {
	t.Helper()
	ctx := t.Context()
	versions = map[string]int64{}
	for p, d := range map[models.Party]models.Delegation{
		alice: {Supplier: vendor, MaySend: true}, bob: {Supplier: vendor, ResourceID: svc, MayReceive: true},
	} {
		put, _, err := b.PutDelegation(ctx, as(p), d, always)
		require.NoError(t, err)
		versions[string(p)] = put.Version
	}
	require.NoError(t, b.DeleteGrant(ctx, as(owner), svc, carol, always))
	_, _, err := b.PutAccessList(ctx, as(owner), models.AccessList{Owner: owner, ID: "members", Name: "Members"}, always)
	require.NoError(t, err)
	_, err = b.ChangeMembers(ctx, as(owner), "members", models.MemberChange{Put: []models.AccessListMember{{Organisation: carol}, {Organisation: bob}}}, always)
	require.NoError(t, err)
	n := models.AccessListConnection{ListID: "members", ResourceID: svc, Terms: models.Terms{Effect: models.EffectAllow, MayReceive: true}}
	n, _, err = b.PutAccessListConnection(ctx, as(owner), n, always)
	require.NoError(t, err)
	versions["members"] = n.Version

	sub := submission(bob, carol)
	sub.By = through("", "vendor's")
	_, err = b.AcceptTransfer(ctx, sub, "run", time.Hour)
	require.NoError(t, err)
	id, attempt := sub.ID, uuid.New()
	row := attemptOf(id, attempt, nil)
	row.Actor = models.NewReceiptActor(through(alice, "vendor's"))
	require.NoError(t, b.BeginUpload(ctx, row, time.Minute))
	require.NoError(t, b.StageContent(ctx, id, attempt, models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: "s"}, through(alice, "vendor's")))
	require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0))
	b.clock.advance(time.Second)
	access, err := b.BeginAccess(ctx, id, through(bob, "bob's vendor's"), 0, 3)
	require.NoError(t, err)
	require.NoError(t, b.EndAccess(ctx, access, 3))
	st := models.Statement{TransferID: id, Party: bob, Kind: models.StatementConfirmation, Actor: *models.NewReceiptActor(through(bob, "bob's vendor's"))}
	require.NoError(t, b.State(ctx, st))
	_, err = b.ConfirmDelivery(ctx, id, bob)
	require.NoError(t, err)
	return id, versions
}

func TestReceipts_NameTheRightAndTheDelegationOfEachStep(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id, versions := b.delegatedLife(t)
		got := b.entries(t, id)
		require.Equal(t, []string{
			"TransferAuthorization", "SubmissionAcceptance", "ContentConsignment 310000035", "ContentConsignment 310000043",
			"ContentHandover 310000035", "ContentAccessTracking 310000035",
		}, names(got))
		sends := &models.ReceiptRight{By: "delegation/" + string(vendor), Version: versions[string(alice)]}
		receives := &models.ReceiptRight{By: "delegation/" + string(vendor), Version: versions[string(bob)]}
		for i, want := range []struct {
			by         string
			delegation *models.ReceiptRight
		}{
			{"grant/" + string(alice), sends},
			{"grant/" + string(alice), sends},
			{"grant/" + string(bob), nil}, // nobody acts for a recipient to whom a file becomes visible
			{"access-list/members", nil},
			{"grant/" + string(bob), receives},
			{"grant/" + string(bob), receives},
		} {
			require.NotNil(t, got[i].Right, names(got)[i])
			require.Equal(t, want.by, got[i].Right.By, names(got)[i])
			require.Equal(t, want.delegation, got[i].Right.Delegation, names(got)[i])
			require.Positive(t, got[i].Right.Version)
		}
		require.Equal(t, versions["members"], got[3].Right.Version)
		require.Contains(t, models.Describe(got[0]), "and delegation/"+string(vendor)+" version")
	})
}

func TestReceipts_NameTheIssuerThatVouchesForASupplier(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		sub := submission(bob)
		sub.By = models.Caller{Supplier: vendor, DelegationStated: true, Credential: models.Credential{Method: models.LoginExternalToken, Issuer: "https://maskinporten.example"}}
		_, err := b.AcceptTransfer(t.Context(), sub, "run", time.Hour)
		require.NoError(t, err)
		first := b.entries(t, sub.ID)[0]
		require.Equal(t, &models.ReceiptRight{By: "issuer/https://maskinporten.example"}, first.Right.Delegation)
		require.Contains(t, models.Describe(first), "and issuer/https://maskinporten.example")
	})
}

// A group of recipients has its rights from one question.
func TestReceipts_OfManyRecipientsNameEachOnesRight(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		var parties []models.Party
		for i := range 100 {
			p := models.Norwegian(fmt.Sprintf("4%08d", i))
			b.grant(t, p, false, true)
			parties = append(parties, p)
		}
		id := b.publish(t, parties...)
		for _, r := range b.entries(t, id)[2:] {
			require.Equal(t, "grant/"+string(r.Recipient), r.Right.By)
		}
	})
}

func TestTimeline_NamesTheCredentialsThatTheViewerMaySee(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		id, _ := b.delegatedLife(t)
		type acting struct {
			supplier          models.Party
			login, thumbprint string
		}
		seen := func(viewer models.Party) map[string]acting {
			_, entries, err := b.TimelineFor(t.Context(), id, models.TimelineQuery{Viewer: viewer, Limit: 1000})
			require.NoError(t, err)
			out := map[string]acting{}
			for _, e := range entries {
				if e.Supplier != "" || e.Login != "" || e.Thumbprint != "" {
					require.NotEmpty(t, e.Actor)
					out[e.What] = acting{e.Supplier, string(e.Login), e.Thumbprint}
				}
			}
			return out
		}
		ours, bobs := acting{vendor, "certificate", "vendor's"}, acting{vendor, "certificate", "bob's vendor's"}
		received := map[string]acting{"DownloadBegan": bobs, "confirmation": bobs, "DownloadConfirmed": bobs}
		all := map[string]acting{"Initialized": ours, "UploadBegan": ours, "UploadStarted": ours, "UploadStored": ours}
		maps.Copy(all, received)
		require.Equal(t, all, seen(alice))
		require.Equal(t, received, seen(bob))
		require.Empty(t, seen(carol))
		owners := seen(owner)
		require.Len(t, owners, len(all))
		for what, a := range owners {
			require.Equal(t, acting{supplier: vendor}, a, what)
		}

		other := b.accept(t, bob)
		st := models.Statement{TransferID: other, Party: alice, Kind: models.StatementCancellation, AsSender: true, Actor: *models.NewReceiptActor(through(alice, "x"))}
		require.NoError(t, b.State(t.Context(), st))
		require.NoError(t, b.CancelTransfer(t.Context(), other))
		id = other
		require.Equal(t, acting{vendor, "certificate", "x"}, seen(alice)["Cancelled"])
		require.Empty(t, seen(bob)["Cancelled"])
	})
}
