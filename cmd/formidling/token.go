package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
)

func tokenCommand() *cobra.Command {
	var organisation, scope string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "token", Short: "Print a token of the development issuer", Args: cobra.NoArgs,
		Long: "Prints a token that a `formidling run` with the same FORMIDLING_DATA accepts. The organisations of the\n" +
			"development issuer exist on this machine only; any number of nine digits will do.",
		Example: "  formidling token --org 310000027 --scope altinn:broker.write",
	}
	cmd.Flags().StringVar(&organisation, "org", "", "organisation number, 9 digits (required)")
	cmd.Flags().StringVar(&scope, "scope", strings.Join([]string{models.ScopeWrite, models.ScopeRead, models.ScopeServiceOwner}, " "), "scopes, separated by spaces")
	cmd.Flags().DurationVar(&life, "life", time.Hour, "how long the token is valid, at most 24h")
	cmd.RunE = configured(func(_ context.Context, c config) error {
		party, err := models.ParseOrganisation(organisation)
		if err != nil {
			return fmt.Errorf("--org %q: it must be an organisation number of 9 digits", organisation)
		}
		if life <= 0 || life > 24*time.Hour {
			return fmt.Errorf("--life %s: it must be above zero and at most 24h", life)
		}
		if err := identity.RequireLoopback(c.Listen, c.PublicURL); err != nil {
			return err
		}
		issuer, err := identity.OpenDevIssuer(c.Data, time.Now)
		if err != nil {
			return err
		}
		token, err := issuer.Token(party, strings.Fields(scope), life)
		if err == nil {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		}
		return err
	})
	if err := cmd.MarkFlagRequired("org"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}
