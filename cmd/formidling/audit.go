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
	var checkpoint string
	verify := &cobra.Command{
		Use: "verify", Short: "Check that nobody changed the audit of the registry, the receipts or their log", Args: cobra.NoArgs,
		Long: "Computes every link of every organisation's audit chain in DATABASE_URL anew. Exits 1 and names the\n" +
			"first entry that is not right when one was changed, taken out or put elsewhere. It may run while the\n" +
			"broker serves.\n\n" +
			"Then it checks that each receipt is what its hash was made of and follows the one before it, and with\n" +
			"FORMIDLING_RECEIPT_KEYS its signature. Then it computes the log of receipts and audit heads anew and compares it with every checkpoint that was signed: a\n" +
			"receipt or an audit entry that is gone is found, also at the end of its chain. With --checkpoint the log's own end\n" +
			"cannot have been cut either.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return configured(func(ctx context.Context, c config) error {
				s, err := store.Open(c.DatabaseURL, store.Options{})
				if err != nil {
					return err
				}
				chains, entries, err := s.VerifyAudit(ctx)
				var leaves int64
				if err == nil {
					leaves, err = verifyLog(ctx, s, c, checkpoint)
				}
				if err = errors.Join(err, s.Close()); err != nil {
					return fmt.Errorf("verify audit: %w", err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "The audit is whole: %d chains, %d entries.\nThe log is whole: %d leaves are those that were signed.\n", chains, entries, leaves)
				return err
			})(cmd, args)
		},
	}
	verify.Flags().StringVar(&checkpoint, "checkpoint", "", "file with a checkpoint of the log, from /receipts/api/v1/checkpoint, that was kept elsewhere")
	cmd.AddCommand(verify)
	return cmd
}
