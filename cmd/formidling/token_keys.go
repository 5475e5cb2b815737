package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/identity"
)

func tokenKeysCommand() *cobra.Command {
	return &cobra.Command{
		Use: "token-keys FILE", Short: "Make the private key set for FORMIDLING_TOKEN_KEYS", Args: cobra.ExactArgs(1),
		Long: "Writes a new JSON Web Key Set with one P-256 key, readable by its owner only. A file that is there is left\n" +
			"alone: whoever replaces it makes all tokens of the moment worthless. To change keys without that, make a second\n" +
			"file and put its key at the end of the first; docs/identity.md tells the rest.",
		Example: "  formidling token-keys /etc/formidling/token-keys.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("make token keys: %s: %w", args[0], fs.ErrExist)
			}
			if _, err := identity.MakeTokenKeys(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), args[0])
			return err
		},
	}
}
