package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/client"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
)

// tokenOptions are the flags of token.
type tokenOptions struct {
	certificate, url, organisation, scope string
	life                                  time.Duration
}

func (c *Commands) token() *cobra.Command {
	o := tokenOptions{}
	cmd := &cobra.Command{
		Use: "token", Short: "Print an access token, bought with a certificate or made by the development issuer", Args: cobra.NoArgs,
		Long: "With --cert, asks the broker's token endpoint for a token of five minutes, with an assertion signed by an\n" +
			"enterprise certificate. With --org, makes one of the development issuer, which a `formidling run` with the\n" +
			"same FORMIDLING_DATA accepts; its organisations exist on this machine only, and any nine digits will do.",
		Example: "  formidling token --cert var/pki/310000027.pem --scope altinn:broker.write\n  formidling token --org 310000027",
	}
	cmd.Flags().StringVar(&o.certificate, "cert", "", "PEM file with an enterprise certificate, its chain and its key")
	cmd.Flags().StringVar(&o.url, "url", "", "the broker's address, with --cert; default FORMIDLING_PUBLIC_URL")
	cmd.Flags().StringVar(&o.organisation, "org", "", "organisation number, 9 digits")
	cmd.Flags().StringVar(&o.scope, "scope", strings.Join(models.AllScopes(), " "), "scopes, separated by spaces")
	cmd.Flags().DurationVar(&o.life, "life", time.Hour, "how long the token is valid, with --org; at most 24h")
	cmd.MarkFlagsOneRequired("cert", "org")
	cmd.MarkFlagsMutuallyExclusive("cert", "org")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		server, err := c.Server()
		if err != nil {
			return err
		}
		token, err := o.get(cmd.Context(), server)
		if err == nil {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		}
		return err
	}
	return cmd
}

func (o tokenOptions) get(ctx context.Context, server Server) (string, error) {
	if o.certificate == "" {
		return developmentToken(server, o.organisation, strings.Fields(o.scope), o.life)
	}
	if o.url == "" {
		o.url = server.PublicURL
	}
	own, err := tls.LoadX509KeyPair(o.certificate, o.certificate)
	if err != nil {
		return "", fmt.Errorf("read certificate: %w", err)
	}
	tokens, err := client.NewTokens(client.TokenGrant{URL: o.url, Certificate: &own, Scopes: strings.Fields(o.scope)})
	if err != nil {
		return "", fmt.Errorf("buy token: %w", err)
	}
	token, err := tokens.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("buy token: %w", err)
	}
	return token, nil
}

// developmentToken makes up an organisation's token for the broker of this machine.
func developmentToken(s Server, organisation string, scopes []string, life time.Duration) (string, error) {
	party, err := models.ParseOrganisation(organisation)
	if err != nil {
		return "", fmt.Errorf("--org %q: it must be an organisation number of 9 digits", organisation)
	}
	if life <= 0 || life > 24*time.Hour {
		return "", fmt.Errorf("--life %s: it must be above zero and at most 24h", life)
	}
	if err := identity.RequireLoopback(s.Listen, s.PublicURL); err != nil {
		return "", err
	}
	issuer, err := identity.OpenDevIssuer(s.Data, time.Now)
	if err != nil {
		return "", err
	}
	return issuer.Token(party, scopes, life)
}
