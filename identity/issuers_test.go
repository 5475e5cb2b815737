package identity

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func readIssuersFrom(t *testing.T, content string) ([]Issuer, error) {
	t.Helper()
	dir := t.TempDir()
	raw, err := json.Marshal(publicSet(t, "a"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keys.json"), raw, 0o600))
	file := filepath.Join(dir, "issuers.json")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return ReadIssuers(file, time.Now, nil)
}

func TestReadIssuers_ReadsAllThatAnEntrySays(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, httptest.NewServer, publicSet(t, "remote"))
	issuers, err := readIssuersFrom(t, `[
		{"issuer":"https://one/","jwks":"keys.json","algorithms":["ES256"],"audience":"us"},
		{"issuer":"https://two/","jwks":"`+server.URL+`","algorithms":["ES256","RS256"],"audience":"us",
		 "scopes":{"their:send":"altinn:broker.write"},"mayStateDelegation":true}]`)
	require.NoError(t, err)
	require.Len(t, issuers, 2)
	one, two := issuers[0], issuers[1]
	require.Equal(t, "https://one/", one.Name)
	requireKey(t, one.Keys, "a")
	require.False(t, one.MayStateDelegation)
	require.Equal(t, models.AllScopes(), one.scopes("altinn:broker.write altinn:broker.read altinn:serviceowner altinn:events.subscribe other"))
	require.Zero(t, server.fetches.Load(), "nothing is fetched before it is needed")
	requireKey(t, two.Keys, "remote")
	require.True(t, two.MayStateDelegation)
	require.Equal(t, []string{models.ScopeWrite}, two.scopes("their:send their:send altinn:broker.read their"))
	_, err = NewVerifier(time.Now, issuers...)
	require.NoError(t, err)
}

func TestReadIssuers_NamesTheEntryAndTheField(t *testing.T) {
	t.Parallel()
	entry := func(change string) string {
		fields := map[string]any{"issuer": "https://one/", "jwks": "keys.json", "algorithms": []string{"ES256"}, "audience": "us"}
		var changed map[string]any
		require.NoError(t, json.Unmarshal([]byte(change), &changed))
		for name, value := range changed {
			fields[name] = value
		}
		raw, err := json.Marshal(fields)
		require.NoError(t, err)
		return string(raw)
	}
	good := entry(`{"issuer":"https://first/"}`)
	for change, field := range map[string]string{
		`{"issuer":""}`:                             "issuer",
		`{"issuer":"https://first/"}`:               "issuer",
		`{"audience":""}`:                           "audience",
		`{"audience":["a","b"]}`:                    "audience",
		`{"algorithms":[]}`:                         "algorithms",
		`{"algorithms":["none"]}`:                   "algorithms",
		`{"algorithms":["ES256","HS256"]}`:          "algorithms",
		`{"algorithms":["EdDSA"]}`:                  "algorithms",
		`{"jwks":""}`:                               "jwks",
		`{"jwks":"absent.json"}`:                    "jwks",
		`{"jwks":"http://issuer.example/jwk"}`:      "jwks",
		`{"jwks":"file:///keys.json"}`:              "jwks",
		`{"algorithms":["RS256"]}`:                  "jwks", // the file has no such key
		`{"scopes":{}}`:                             "scopes",
		`{"scopes":{"theirs":"altinn:broker"}}`:     "scopes",
		`{"scopes":{"a b":"altinn:broker.read"}}`:   "scopes",
		`{"scopes":{"":"altinn:broker.read"}}`:      "scopes",
		`{"scope":{"theirs":"altinn:broker.read"}}`: "scope",
		`{"mayStateDelegation":"yes"}`:              "mayStateDelegation",
	} {
		_, err := readIssuersFrom(t, "["+good+","+entry(change)+"]")
		require.ErrorContains(t, err, "entry 2", change)
		require.ErrorContains(t, err, field, change)
	}
	for _, content := range []string{"", "{}", `[` + good, `[` + good + `] x`, `["https://one/"]`} {
		_, err := readIssuersFrom(t, content)
		require.Error(t, err, content)
	}
	_, err := ReadIssuers(filepath.Join(t.TempDir(), "none"), time.Now, nil)
	require.Error(t, err)
}
