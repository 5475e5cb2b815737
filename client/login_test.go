package client

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

func TestLogin_ByCertificateTokenAndKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	who := func(c *Broker) (string, MeCredentialMethod) {
		me, err := c.Me(t.Context())
		require.NoError(t, err)
		return me.Organization, me.Credential.Method
	}
	name, method := who(b.as(alice))
	require.Equal(t, "0192:"+alice, name)
	require.EqualValues(t, "certificate", method)

	tokens, err := NewTokens(TokenGrant{URL: b.broker.URL + "/", Certificate: b.certificate(alice)})
	require.NoError(t, err)
	name, method = who(b.as(alice, func(o *Options) { o.URL, o.Certificate, o.Tokens = b.broker.URL, nil, tokens }))
	require.Equal(t, "0192:"+alice, name)
	require.EqualValues(t, "certificate-token", method)

	token, err := tokens.Token(t.Context())
	require.NoError(t, err)
	name, _ = who(b.as(alice, func(o *Options) { o.URL, o.Certificate, o.Tokens = b.broker.URL, nil, StaticToken(token) }))
	require.Equal(t, "0192:"+alice, name)

	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		client := b.register(alice, key)
		keyed, err := NewTokens(TokenGrant{URL: b.broker.URL, Key: key, KeyID: "k1", ClientID: client})
		require.NoError(t, err)
		name, method = who(b.as(alice, func(o *Options) { o.URL, o.Certificate, o.Tokens = b.broker.URL, nil, keyed }))
		require.Equal(t, "0192:"+alice, name)
		require.EqualValues(t, "key-token", method)
	}
}

// register registers a key of an organisation and returns the client's id.
func (b *bundle) register(number string, key *ecdsa.PrivateKey) string {
	b.t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Use: "sig"}}})
	require.NoError(b.t, err)
	var keys map[string]any
	require.NoError(b.t, json.Unmarshal(set, &keys))
	made, err := Decode[Client](b.as(number).API.RegisterClient(b.t.Context(), nil, ClientUpdate{Name: "test", Jwks: keys}))
	require.NoError(b.t, err)
	return made.ClientID
}

func TestTokens_AreRenewedBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tokens, err := NewTokens(TokenGrant{URL: b.broker.URL, Certificate: b.certificate(alice)})
	require.NoError(t, err)
	one, err := tokens.Token(t.Context())
	require.NoError(t, err)
	same, err := tokens.Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, one, same)
	require.Less(t, time.Until(tokens.renew), time.Until(tokens.ends))

	tokens.renew = time.Now().Add(-time.Second)
	next, err := tokens.Token(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, one, next)

	tokens.renew, tokens.grant.URL = time.Now().Add(-time.Second), "http://127.0.0.1:1"
	kept, err := tokens.Token(t.Context())
	require.NoError(t, err, "the one we have still holds")
	require.Equal(t, next, kept)
	tokens.ends = time.Now()
	_, err = tokens.Token(t.Context())
	require.ErrorIs(t, err, ErrUnavailable)
}

func TestTokens_AreReplacedWhenTheBrokerRefusesThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, size := range []int{100, 9 << 20} { // an upload too begins again
		tokens, err := NewTokens(TokenGrant{URL: b.broker.URL, Certificate: b.certificate(alice)})
		require.NoError(t, err)
		var spoiled atomic.Int64
		p := b.proxy()
		p.answers(func(_ http.ResponseWriter, r *http.Request) bool {
			if spoiled.Add(1)%2 == 1 && r.URL.Path != "/oauth2/token" { // each other token has ended
				r.Header.Set("Authorization", "Bearer ended")
			}
			return false
		})
		c := b.as(alice, func(o *Options) { o.URL, o.Certificate, o.Tokens = p.url, nil, tokens })
		content := noise(size)
		sent, err := c.Send(t.Context(), b.transfer(), FromReaderAt(bytes.NewReader(content), int64(size)), SendOptions{})
		require.NoError(t, err)
		b.delivers(sent.ID, content)
	}
	static := b.as(alice, func(o *Options) { o.URL, o.Certificate, o.Tokens = b.broker.URL, nil, StaticToken("ended") })
	_, err := static.Me(t.Context())
	require.ErrorIs(t, err, ErrUnauthorized)
}

func TestLogin_FailsAtOnceWithoutTrust(t *testing.T) {
	t.Parallel()
	b := setup(t)
	began := time.Now()
	_, err := b.as(alice, func(o *Options) { o.CA = nil }).Me(t.Context())
	require.ErrorIs(t, err, ErrUnauthorized, "the broker's certificate is signed by nobody we know")
	_, err = b.as(alice, func(o *Options) { o.Certificate = nil }).Me(t.Context())
	require.ErrorIs(t, err, ErrUnauthorized, "the broker asks for a certificate")
	wrong, err := NewTokens(TokenGrant{URL: b.broker.URL, Audience: "https://elsewhere.example", Certificate: b.certificate(alice)})
	require.NoError(t, err)
	_, err = wrong.Token(t.Context())
	require.ErrorIs(t, err, ErrUnauthorized)
	require.Less(t, time.Since(began), 45*time.Second, "none of it was tried again")
}

func TestNewTokens_RefusesWhatCannotSign(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	for _, g := range []TokenGrant{
		{}, {Key: key}, {Key: key, KeyID: "k", ClientID: "c"}, {Certificate: &tls.Certificate{}}, {Certificate: &tls.Certificate{Certificate: [][]byte{{1}}}},
	} {
		_, err := NewTokens(g)
		require.Error(t, err)
	}
	for _, url := range []string{"", "broker.example", "ftp://broker.example", "https://", ":"} {
		_, err := New(Options{URL: url})
		require.Error(t, err, url)
	}
}

func TestTokens_GoNowhereElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	redirecting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(redirecting.Close)
	tokens, err := NewTokens(TokenGrant{URL: redirecting.URL, Certificate: b.certificate(alice)})
	require.NoError(t, err)
	_, err = tokens.Token(t.Context())
	var refused *Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusTemporaryRedirect, refused.Status)
	require.True(t, strings.HasSuffix(refused.Op, "/oauth2/token"))
	require.Zero(t, elsewhere.Load(), "nobody else got the assertion")
}
