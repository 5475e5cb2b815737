package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/registry"
	"github.com/formidling/formidling/store/storetest"
)

func chain(b *storetest.Bundle, t testing.TB, p models.Party) []models.AuditEntry {
	t.Helper()
	out, _, err := b.AuditOf(context.Background(), p, models.AuditPage{Limit: 1000})
	require.NoError(t, err)
	return out
}

func TestAudit_TellsWhoChangedWhatAndHowItWas(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		by := storetest.As(storetest.Owner)
		by.Credential = models.Credential{Method: models.LoginCertificate, Thumbprint: "print"}
		before := len(chain(b, t, storetest.Owner))
		g, err := b.GrantOf(t.Context(), storetest.Owner, storetest.Service, storetest.Alice)
		require.NoError(t, err)
		g.Note, g.ReplyOnly = "since the merger", true
		g, _, err = b.PutGrant(t.Context(), by, g, models.Condition{Version: g.Version})
		require.NoError(t, err)
		entries := chain(b, t, storetest.Owner)
		require.Len(t, entries, before+1)
		last := entries[before]
		require.Equal(t, last.Seq, g.Version, "the version of what was changed is its entry's number")
		var text models.AuditText
		require.NoError(t, json.Unmarshal([]byte(last.Entry), &text))
		require.Equal(t, "grant.put", text.Action)
		require.Equal(t, storetest.Owner, text.Actor)
		require.Equal(t, "certificate print", text.Credential)
		require.Equal(t, "organization/"+string(storetest.Alice), text.Subject)
		require.Empty(t, text.Before["note"])
		require.Equal(t, false, text.Before["replyOnly"])
		require.Equal(t, "since the merger", text.After["note"])
		require.Equal(t, true, text.After["replyOnly"])
		require.NoError(t, b.DeleteGrant(t.Context(), by, storetest.Service, storetest.Alice, models.Condition{Version: g.Version}))
		entries = chain(b, t, storetest.Owner)
		text = models.AuditText{}
		require.NoError(t, json.Unmarshal([]byte(entries[before+1].Entry), &text))
		require.Equal(t, "grant.delete", text.Action)
		require.Nil(t, text.After)
		require.NotNil(t, text.Before)
	})
}

func TestAudit_IsOneChainWhateverIsWrittenAtOnce(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				var rows []models.GrantChange
				for j := range 20 {
					g := models.Grant{ResourceID: storetest.Service, Organisation: models.Norwegian(fmt.Sprintf("%d-%d", i, j)), Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}}
					rows = append(rows, models.GrantChange{Grant: g})
				}
				out, err := b.PutGrants(t.Context(), storetest.As(storetest.Owner), storetest.Service, rows, true)
				if err != nil {
					t.Errorf("put: %v", err)
					return
				}
				for n, r := range out {
					if r.Err != nil || r.Grant.Version != out[0].Grant.Version+int64(n) {
						t.Errorf("row %d: %v, version %d", n, r.Err, r.Grant.Version)
					}
				}
			})
		}
		wg.Wait()
		chains, entries, err := b.VerifyAudit(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, chains)
		require.EqualValues(t, 5+8*20, entries)
		require.Len(t, chain(b, t, storetest.Owner), 5+8*20)
	})
}

func TestAudit_IsNeverChangedThroughTheDatabase(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		statements := []string{
			"UPDATE audit_entries SET entry = 'x' WHERE seq = 2", "UPDATE audit_entries SET seq = seq + 1", "DELETE FROM audit_entries",
			"DELETE FROM audit_entries WHERE seq = 1", "DELETE FROM audit_heads",
			"UPDATE audit_heads SET seq = 1", "UPDATE audit_heads SET hash = 'x'",
		}
		if b.DB().Dialect() == db.Postgres {
			statements = append(statements, "TRUNCATE audit_entries", "TRUNCATE audit_heads")
		}
		for _, statement := range statements {
			require.ErrorContains(t, b.DB().Write(t.Context()).Exec(statement).Error, "never changed", statement)
		}
		_, _, err := b.VerifyAudit(t.Context())
		require.NoError(t, err)
	})
}

// Whoever owns the database can switch its triggers off; then the chain tells.
func TestVerifyAudit_FindsWhatSomebodyChangedAllTheSame(t *testing.T) {
	for name, forge := range map[string]string{
		"a changed text":    "UPDATE audit_entries SET entry = replace(entry, 'may', 'MAY') || ' ' WHERE seq = 3",
		"a changed column":  "UPDATE audit_entries SET resource_id = 'other' WHERE seq = 3",
		"a missing entry":   "DELETE FROM audit_entries WHERE seq = 3",
		"a missing first":   "DELETE FROM audit_entries WHERE seq = 1",
		"a cut end":         "DELETE FROM audit_entries WHERE seq > 3",
		"a missing chain":   "DELETE FROM audit_entries",
		"a missing head":    "DELETE FROM audit_heads",
		"two that swapped":  "UPDATE audit_entries SET entry = (SELECT entry FROM audit_entries o WHERE o.seq = 7 - audit_entries.seq) WHERE seq IN (3, 4)",
		"a forged link":     "UPDATE audit_entries SET prev = hash WHERE seq = 3",
		"a head elsewhere":  "UPDATE audit_heads SET hash = 'x'",
		"a head further on": "UPDATE audit_heads SET seq = seq + 1",
		"a head set back":   "UPDATE audit_heads SET seq = 2, hash = (SELECT hash FROM audit_entries e WHERE e.chain = audit_heads.chain AND e.seq = 2)",
	} {
		t.Run(name, func(t *testing.T) {
			storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
				_, _, err := b.VerifyAudit(t.Context())
				require.NoError(t, err)
				off := "ALTER TABLE audit_entries DISABLE TRIGGER ALL; ALTER TABLE audit_heads DISABLE TRIGGER ALL"
				if b.DB().Dialect() == db.SQLite {
					off = "DROP TRIGGER audit_entries_keep_changed; DROP TRIGGER audit_entries_keep_deleted; DROP TRIGGER audit_heads_keep_deleted; DROP TRIGGER audit_heads_forward"
				}
				require.NoError(t, b.DB().Write(t.Context()).Exec(off).Error)
				require.NoError(t, b.DB().Write(t.Context()).Exec(forge).Error)
				_, _, err = b.VerifyAudit(t.Context())
				var fault registry.AuditError
				require.ErrorAs(t, err, &fault)
			})
		})
	}
}

func TestVerifyAudit_ReadsChainsLongerThanAPage(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		rows := make([]models.GrantChange, 1200)
		for i := range rows {
			rows[i].Grant = models.Grant{ResourceID: storetest.Service, Organisation: models.Norwegian(fmt.Sprint(i)), Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}}
		}
		_, err := b.PutGrants(t.Context(), storetest.As(storetest.Owner), storetest.Service, rows, true)
		require.NoError(t, err)
		_, entries, err := b.VerifyAudit(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1205, entries)
	})
}

func TestAuditOfResource_HasItsListsToo(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		_, err := b.PutResource(ctx, storetest.As(storetest.Owner), "other", models.ResourcePatch{}, storetest.Always)
		require.NoError(t, err)
		_, _, err = b.PutAccessList(ctx, storetest.As(storetest.Owner), models.AccessList{ID: "partners", Name: "Partners"}, storetest.Always)
		require.NoError(t, err)
		entries, more, err := b.AuditOfResource(ctx, storetest.Owner, "other", models.AuditPage{Limit: 10})
		require.NoError(t, err)
		require.False(t, more)
		require.Len(t, entries, 2)
		require.Equal(t, "resource/other", entries[0].Subject)
		require.Equal(t, "access-list/partners", entries[1].Subject)
		_, _, err = b.AuditOfResource(ctx, storetest.Bob, "other", models.AuditPage{Limit: 10})
		require.ErrorIs(t, err, models.ErrNoAccess)
	})
}

func TestRegistry_WritesAnEntryForEveryKindOfChange(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		by := storetest.As(storetest.Alice)
		by.Credential = models.Credential{Method: models.LoginCertificate, Thumbprint: "p"}
		_, _, err := b.PutDelegation(ctx, by, models.Delegation{Supplier: storetest.Bob, MaySend: true}, storetest.Always)
		require.NoError(t, err)
		require.NoError(t, b.DeleteDelegation(ctx, by, models.Delegation{Supplier: storetest.Bob}, storetest.Always))
		_, err = b.PutClient(ctx, by, models.Client{ID: "c", Name: "n", Keys: "{}"}, models.Condition{})
		require.NoError(t, err)
		require.NoError(t, b.DeleteClient(ctx, by, "c", storetest.Always))
		_, _, err = b.PutCredentialLock(ctx, by, models.CredentialLock{Certificates: []string{"p"}}, models.Condition{})
		require.NoError(t, err)
		require.NoError(t, b.DeleteCredentialLock(ctx, by, storetest.Always))
		var actions []string
		for _, e := range chain(b, t, storetest.Alice) {
			var text models.AuditText
			require.NoError(t, json.Unmarshal([]byte(e.Entry), &text))
			actions = append(actions, text.Action)
		}
		require.Equal(t, []string{"delegation.put", "delegation.delete", "client.put", "client.delete", "credential-lock.put", "credential-lock.delete"}, actions)
	})
}

func TestAccessRequest_IsAnsweredOnceAndGivesWhatWasAsked(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		ctx := t.Context()
		ask := func(id uuid.UUID) (models.AccessRequest, error) {
			return b.RequestAccess(ctx, storetest.As(storetest.Carol), models.AccessRequest{ID: id, ResourceID: storetest.Service, MaySend: true, Text: "please"})
		}
		first, err := ask(uuid.New())
		require.NoError(t, err)
		_, err = ask(uuid.New())
		require.ErrorIs(t, err, models.ErrRequestPending)
		_, err = b.AnswerAccessRequest(ctx, storetest.As(storetest.Bob), first.ID, models.AccessAnswer{Approve: true}, storetest.Always)
		require.ErrorIs(t, err, models.ErrEntryNotFound, "not his service")
		_, err = b.AnswerAccessRequest(ctx, storetest.As(storetest.Owner), first.ID, models.AccessAnswer{Approve: true}, models.Condition{Version: first.Version + 1})
		require.ErrorIs(t, err, models.ErrPreconditionFailed)
		answered, err := b.AnswerAccessRequest(ctx, storetest.As(storetest.Owner), first.ID, models.AccessAnswer{Approve: true}, models.Condition{Version: first.Version})
		require.NoError(t, err)
		require.Equal(t, models.RequestApproved, answered.State)
		_, err = b.AnswerAccessRequest(ctx, storetest.As(storetest.Owner), first.ID, models.AccessAnswer{}, storetest.Always)
		require.ErrorIs(t, err, models.ErrAnswered)
		send, receive, err := b.RightsOf(ctx, storetest.Service, storetest.Carol)
		require.NoError(t, err)
		require.True(t, send && receive, "what it had before stays")
		second, err := ask(uuid.New())
		require.NoError(t, err)
		_, err = b.AnswerAccessRequest(ctx, storetest.As(storetest.Owner), second.ID, models.AccessAnswer{Text: "no"}, storetest.Always)
		require.NoError(t, err)
	})
}

func TestUseAssertion_SpendsItOnce(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		until := b.Clock.Read()
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 20 {
			wg.Go(func() {
				err := b.UseAssertion(t.Context(), storetest.Alice, "jti", until)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, models.ErrAssertionUsed) {
					t.Errorf("use: %v", err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, won)
		require.NoError(t, b.UseAssertion(t.Context(), storetest.Bob, "jti", until), "another organisation's is another one")
		require.NoError(t, b.ForgetAssertions(t.Context()))
		require.ErrorIs(t, b.UseAssertion(t.Context(), storetest.Alice, "jti", until), models.ErrAssertionUsed, "not yet expired for long")
		b.Clock.Advance(1e12 * 120)
		require.NoError(t, b.ForgetAssertions(t.Context()))
		require.NoError(t, b.UseAssertion(t.Context(), storetest.Alice, "jti", until))
	})
}

func TestAuditOf_BoundsAPageByItsBytes(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		want := chain(b, t, storetest.Owner)
		const bytes = 1000 // some three entries
		var got []models.AuditEntry
		for after, more := int64(0), true; more; after = got[len(got)-1].Seq {
			var page []models.AuditEntry
			var err error
			page, more, err = b.AuditOf(t.Context(), storetest.Owner, models.AuditPage{After: after, Limit: 1000, Bytes: bytes})
			require.NoError(t, err)
			require.NotEmpty(t, page)
			require.Less(t, len(page), len(want))
			size := 0
			for _, e := range page[:len(page)-1] {
				size += len(e.Entry)
			}
			require.Less(t, size, bytes)
			got = append(got, page...)
		}
		require.Equal(t, want, got)
	})
}
