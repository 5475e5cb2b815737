package registry_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/storetest"
)

const vendor = models.Party("0192:310000060")

// through is somebody for whom a supplier acts.
func through(p models.Party, thumbprint string) models.Caller {
	c := storetest.By(p, thumbprint)
	c.Supplier = vendor
	return c
}

// delegated is a life in which suppliers act for the sender and a recipient; carol is a recipient by an access list.
func delegatedLife(b *storetest.Bundle, t *testing.T) (id uuid.UUID, versions map[string]int64) {
	t.Helper()
	ctx := t.Context()
	versions = map[string]int64{}
	for p, d := range map[models.Party]models.Delegation{
		storetest.Alice: {Supplier: vendor, MaySend: true}, storetest.Bob: {Supplier: vendor, ResourceID: storetest.Service, MayReceive: true},
	} {
		put, _, err := b.PutDelegation(ctx, storetest.As(p), d, storetest.Always)
		require.NoError(t, err)
		versions[string(p)] = put.Version
	}
	require.NoError(t, b.DeleteGrant(ctx, storetest.As(storetest.Owner), storetest.Service, storetest.Carol, storetest.Always))
	_, _, err := b.PutAccessList(ctx, storetest.As(storetest.Owner), models.AccessList{Owner: storetest.Owner, ID: "members", Name: "Members"}, storetest.Always)
	require.NoError(t, err)
	_, err = b.ChangeMembers(ctx, storetest.As(storetest.Owner), "members", models.MemberChange{Put: []models.AccessListMember{{Organisation: storetest.Carol}, {Organisation: storetest.Bob}}}, storetest.Always)
	require.NoError(t, err)
	n := models.AccessListConnection{ListID: "members", ResourceID: storetest.Service, Terms: models.Terms{Effect: models.EffectAllow, MayReceive: true}}
	n, _, err = b.PutAccessListConnection(ctx, storetest.As(storetest.Owner), n, storetest.Always)
	require.NoError(t, err)
	versions["members"] = n.Version

	sub := storetest.Submission(storetest.Bob, storetest.Carol)
	sub.By = through("", "vendor's")
	_, err = b.AcceptTransfer(ctx, sub, "run", time.Hour)
	require.NoError(t, err)
	id, attempt := sub.ID, uuid.New()
	row := storetest.AttemptOf(id, attempt, nil)
	row.Actor = models.NewReceiptActor(through(storetest.Alice, "vendor's"))
	require.NoError(t, b.BeginUpload(ctx, row, time.Minute))
	require.NoError(t, b.StageContent(ctx, id, attempt, models.Content{Generation: 1, Size: 3, MD5: "m", SHA256: "s"}, through(storetest.Alice, "vendor's")))
	require.NoError(t, b.DeliverTransfer(ctx, id, attempt, 0))
	b.Clock.Advance(time.Second)
	access, err := b.BeginAccess(ctx, id, through(storetest.Bob, "bob's vendor's"), 0, 3)
	require.NoError(t, err)
	require.NoError(t, b.EndAccess(ctx, access, 3))
	st := models.Statement{TransferID: id, Party: storetest.Bob, Kind: models.StatementConfirmation, Actor: *models.NewReceiptActor(through(storetest.Bob, "bob's vendor's"))}
	require.NoError(t, b.AppendStatement(ctx, st))
	_, err = b.ConfirmTransfer(ctx, id, storetest.Bob)
	require.NoError(t, err)
	return id, versions
}

func TestReceipts_NameTheRightAndTheDelegationOfEachStep(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id, versions := delegatedLife(b, t)
		got := b.Entries(t, id)
		require.Equal(t, []string{
			"TransferAuthorization", "SubmissionAcceptance", "ContentConsignment 310000035", "ContentConsignment 310000043",
			"ContentHandover 310000035", "ContentAccessTracking 310000035",
		}, storetest.ReceiptNames(got))
		sends := &models.ReceiptRight{By: "delegation/" + string(vendor), Version: versions[string(storetest.Alice)]}
		receives := &models.ReceiptRight{By: "delegation/" + string(vendor), Version: versions[string(storetest.Bob)]}
		for i, want := range []struct {
			by         string
			delegation *models.ReceiptRight
		}{
			{"grant/" + string(storetest.Alice), sends},
			{"grant/" + string(storetest.Alice), sends},
			{"grant/" + string(storetest.Bob), nil}, // nobody acts for a recipient to whom a file becomes visible
			{"access-list/members", nil},
			{"grant/" + string(storetest.Bob), receives},
			{"grant/" + string(storetest.Bob), receives},
		} {
			require.NotNil(t, got[i].Right, storetest.ReceiptNames(got)[i])
			require.Equal(t, want.by, got[i].Right.By, storetest.ReceiptNames(got)[i])
			require.Equal(t, want.delegation, got[i].Right.Delegation, storetest.ReceiptNames(got)[i])
			require.Positive(t, got[i].Right.Version)
		}
		require.Equal(t, versions["members"], got[3].Right.Version)
		require.Contains(t, models.Describe(got[0]), "and delegation/"+string(vendor)+" version")
	})
}

func TestReceipts_NameTheIssuerThatVouchesForASupplier(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		sub := storetest.Submission(storetest.Bob)
		sub.By = models.Caller{Supplier: vendor, DelegationStated: true, Credential: models.Credential{Method: models.LoginExternalToken, Issuer: "https://maskinporten.example"}}
		_, err := b.AcceptTransfer(t.Context(), sub, "run", time.Hour)
		require.NoError(t, err)
		first := b.Entries(t, sub.ID)[0]
		require.Equal(t, &models.ReceiptRight{By: "issuer/https://maskinporten.example"}, first.Right.Delegation)
		require.Contains(t, models.Describe(first), "and issuer/https://maskinporten.example")
	})
}

// A group of recipients has its rights from one question.
func TestReceipts_OfManyRecipientsNameEachOnesRight(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		var parties []models.Party
		for i := range 100 {
			p := models.Norwegian(fmt.Sprintf("4%08d", i))
			b.Grant(t, p, false, true)
			parties = append(parties, p)
		}
		id := b.Publish(t, parties...)
		for _, r := range b.Entries(t, id)[2:] {
			require.Equal(t, "grant/"+string(r.Recipient), r.Right.By)
		}
	})
}

func TestTimeline_NamesTheCredentialsThatTheViewerMaySee(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		id, _ := delegatedLife(b, t)
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
		require.Equal(t, all, seen(storetest.Alice))
		require.Equal(t, received, seen(storetest.Bob))
		require.Empty(t, seen(storetest.Carol))
		owners := seen(storetest.Owner)
		require.Len(t, owners, len(all))
		for what, a := range owners {
			require.Equal(t, acting{supplier: vendor}, a, what)
		}

		other := b.Accept(t, storetest.Bob)
		st := models.Statement{TransferID: other, Party: storetest.Alice, Kind: models.StatementCancellation, AsSender: true, Actor: *models.NewReceiptActor(through(storetest.Alice, "x"))}
		require.NoError(t, b.AppendStatement(t.Context(), st))
		require.NoError(t, b.CancelTransfer(t.Context(), other))
		id = other
		require.Equal(t, acting{vendor, "certificate", "x"}, seen(storetest.Alice)["Cancelled"])
		require.Empty(t, seen(storetest.Bob)["Cancelled"])
	})
}

// An expired grant stays in the registry, and gives nothing. A receipt must not name it for what something else gave.
func TestReceipts_NameNoRightThatHasEnded(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx, owner := t.Context(), storetest.As(storetest.Owner)
		_, _, err := b.PutAccessList(ctx, owner, models.AccessList{Owner: storetest.Owner, ID: "members", Name: "Members"}, storetest.Always)
		require.NoError(t, err)
		_, err = b.ChangeMembers(ctx, owner, "members", models.MemberChange{Put: []models.AccessListMember{{Organisation: storetest.Alice}, {Organisation: storetest.Bob}}}, storetest.Always)
		require.NoError(t, err)
		both := models.Terms{Effect: models.EffectAllow, MaySend: true, MayReceive: true}
		_, _, err = b.PutAccessListConnection(ctx, owner, models.AccessListConnection{ListID: "members", ResourceID: storetest.Service, Terms: both}, storetest.Always)
		require.NoError(t, err)
		ended := both
		ended.ValidTo = new(b.Clock.Read())
		for _, p := range []models.Party{storetest.Alice, storetest.Bob} {
			_, _, err = b.PutGrant(ctx, owner, models.Grant{ResourceID: storetest.Service, Organisation: p, Terms: ended}, storetest.Always)
			require.NoError(t, err)
		}
		id := b.Publish(t, storetest.Bob)
		for _, r := range b.Entries(t, id) {
			require.Equal(t, "access-list/members", r.Right.By, r.Event.Name())
		}
	})
}
