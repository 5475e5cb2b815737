package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/receipts"
)

func receiptKeysCommand() *cobra.Command {
	return &cobra.Command{
		Use: "receipt-keys FILE", Short: "Make the private key set for FORMIDLING_RECEIPT_KEYS", Args: cobra.ExactArgs(1),
		Long: "Writes a new JSON Web Key Set, readable by its owner only: a P-256 key that signs receipts and an Ed25519 key that\n" +
			"signs the log. A file that is there is left alone. To change keys, put new ones at the beginning of the set and leave\n" +
			"the public halves of the old ones in it for ever: receipts outlive the keys that signed them (docs/receipts.md).",
		Example: "  formidling receipt-keys /etc/formidling/receipt-keys.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("make receipt keys: %s: %w", args[0], fs.ErrExist)
			}
			if _, err := receipts.MakeKeys(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), args[0])
			return err
		},
	}
}
