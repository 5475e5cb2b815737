package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/store"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Look after the audit of the registry", Args: cobra.NoArgs}
	cmd.AddCommand(&cobra.Command{
		Use: "verify", Short: "Check that nobody changed the audit of the registry", Args: cobra.NoArgs,
		Long: "Computes every link of every organisation's audit chain in DATABASE_URL anew. Exits 1 and names the\n" +
			"first entry that is not right when one was changed, taken out or put elsewhere. It may run while the\n" +
			"broker serves.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return configured(func(ctx context.Context, c config) error {
				s, err := store.Open(c.DatabaseURL, store.Options{})
				if err != nil {
					return err
				}
				chains, entries, err := s.VerifyAudit(ctx)
				if err = errors.Join(err, s.Close()); err != nil {
					return fmt.Errorf("verify audit: %w", err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "The audit is whole: %d chains, %d entries.\n", chains, entries)
				return err
			})(cmd, args)
		},
	})
	return cmd
}
