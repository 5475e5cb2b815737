package identity

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// FuzzVerifier: whatever stands after "Bearer", the answer is a refusal with a reason, or the one caller
// whose token was signed.
func FuzzVerifier(f *testing.F) {
	b := setup(f)
	good := b.token(f)
	want, err := b.authenticate("Bearer " + good)
	require.NoError(f, err)
	for _, seed := range []string{good, "", "a.b.c", "e30.e30.", b.sign(f, nil), b.sign(f, func(h, _ map[string]any) { h["crit"] = []string{"b64"}; h["b64"] = false })} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		caller, err := b.authenticate("Bearer " + token)
		if err == nil {
			require.Equal(t, want.Party, caller.Party)
			return
		}
		require.ErrorIs(t, err, models.ErrUnauthenticated)
		require.NotEmpty(t, Reason(err))
	})
}

// FuzzExchange: whatever is sent as an assertion, what is refused is refused as invalid_grant.
func FuzzExchange(f *testing.F) {
	b := setupExchange(f)
	for _, d := range []draft{b.byCertificate(), b.byKey(), b.byKey().under(map[string]any{"crit": []string{"b64"}})} {
		f.Add(d.sign(f))
	}
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, assertion string) {
		_, err := b.ask(t, assertion)
		var denied *TokenError
		if err != nil && (!errors.As(err, &denied) || denied.Code != codeInvalidGrant && assertion != "") {
			t.Fatal(err)
		}
	})
}

// FuzzParseClientKeys: what is accepted is small, public, and reads back as the same.
func FuzzParseClientKeys(f *testing.F) {
	b := setupExchange(f)
	f.Add([]byte(b.clients[clientID].Keys))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA","kid":"a"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, thumbprints, err := ParseClientKeys(raw)
		if err != nil {
			require.ErrorIs(t, err, models.InvalidField("jwks", ""))
			return
		}
		require.Len(t, thumbprints, len(set.Keys))
		for _, k := range set.Keys {
			require.True(t, k.IsPublic())
		}
	})
}
