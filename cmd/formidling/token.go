package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spf13/cobra"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
)

func tokenCommand() *cobra.Command {
	var organisation, certificate, broker, scope string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "token", Short: "Print an access token, bought with a certificate or made by the development issuer", Args: cobra.NoArgs,
		Long: "With --cert, asks the broker's token endpoint for a token of five minutes, with an assertion signed by an\n" +
			"enterprise certificate. With --org, makes one of the development issuer, which a `formidling run` with the\n" +
			"same FORMIDLING_DATA accepts; its organisations exist on this machine only, and any nine digits will do.",
		Example: "  formidling token --cert var/pki/310000027.pem --scope altinn:broker.write\n  formidling token --org 310000027",
	}
	cmd.Flags().StringVar(&certificate, "cert", "", "PEM file with an enterprise certificate, its chain and its key")
	cmd.Flags().StringVar(&broker, "url", "", "the broker's address, with --cert; default FORMIDLING_PUBLIC_URL")
	cmd.Flags().StringVar(&organisation, "org", "", "organisation number, 9 digits")
	cmd.Flags().StringVar(&scope, "scope", strings.Join(models.AllScopes(), " "), "scopes, separated by spaces")
	cmd.Flags().DurationVar(&life, "life", time.Hour, "how long the token is valid, with --org; at most 24h")
	cmd.MarkFlagsOneRequired("cert", "org")
	cmd.MarkFlagsMutuallyExclusive("cert", "org")
	cmd.RunE = configured(func(ctx context.Context, c config) error {
		var token string
		var err error
		if certificate != "" {
			if broker == "" {
				broker = c.PublicURL
			}
			token, err = buyToken(ctx, http.DefaultClient, strings.TrimSuffix(broker, "/"), certificate, strings.Fields(scope))
		} else {
			token, err = developmentToken(c, organisation, strings.Fields(scope), life)
		}
		if err == nil {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		}
		return err
	})
	return cmd
}

func developmentToken(c config, organisation string, scopes []string, life time.Duration) (string, error) {
	party, err := models.ParseOrganisation(organisation)
	if err != nil {
		return "", fmt.Errorf("--org %q: it must be an organisation number of 9 digits", organisation)
	}
	if life <= 0 || life > 24*time.Hour {
		return "", fmt.Errorf("--life %s: it must be above zero and at most 24h", life)
	}
	if err := identity.RequireLoopback(c.Listen, c.PublicURL); err != nil {
		return "", err
	}
	issuer, err := identity.OpenDevIssuer(c.Data, time.Now)
	if err != nil {
		return "", err
	}
	return issuer.Token(party, scopes, life)
}

// buyToken asks a broker's token endpoint for a token, as any client of Maskinporten does.
func buyToken(ctx context.Context, client *http.Client, broker, file string, scopes []string) (string, error) {
	return buyTokenWith(ctx, client, broker, file, scopes, nil)
}

// buyTokenWith also states further claims in the assertion, such as for whom the token shall act.
func buyTokenWith(ctx context.Context, client *http.Client, broker, file string, scopes []string, further map[string]any) (string, error) {
	own, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return "", fmt.Errorf("read certificate: %w", err)
	}
	assertion, err := signAssertion(own, broker, scopes, further, time.Now())
	if err != nil {
		return "", fmt.Errorf("sign assertion: %w", err)
	}
	form := url.Values{"grant_type": {identity.GrantJWTBearer}, "assertion": {assertion}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, broker+identity.TokenPath, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("ask for token: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	steady := *client // the broker does not redirect; who else does gets no assertion
	steady.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := steady.Do(r)
	if err != nil {
		return "", fmt.Errorf("ask for token: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var said struct {
		Token       string `json:"access_token"`
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&said); err != nil {
		return "", fmt.Errorf("ask for token: %s: %w", response.Status, err)
	}
	if said.Token == "" {
		return "", fmt.Errorf("ask for token: %s: %s: %s", response.Status, said.Code, said.Description)
	}
	return said.Token, nil
}

// signAssertion makes the JWT that buys a token: x5c carries the chain, so that nothing need be registered before.
func signAssertion(own tls.Certificate, audience string, scopes []string, further map[string]any, now time.Time) (string, error) {
	holder, err := identity.Organisation(own.Leaf)
	if err != nil {
		return "", err
	}
	algorithm := jose.RS256
	if own.Leaf.PublicKeyAlgorithm == x509.ECDSA {
		algorithm = jose.ES256
	}
	options := (&jose.SignerOptions{}).WithHeader("x5c", own.Certificate)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: own.PrivateKey}, options)
	if err != nil {
		return "", err
	}
	claims := map[string]any{
		"iss": holder, "aud": audience, "scope": strings.Join(scopes, " "), "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	maps.Copy(claims, further)
	return jwt.Signed(signer).Claims(claims).Serialize()
}
