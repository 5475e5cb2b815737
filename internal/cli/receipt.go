package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"

	"github.com/formidling/formidling/receipts"
)

// errUnproven is a bundle that agrees with itself, and that anybody may have made.
var errUnproven = errors.New("CONSISTENT, not proven to be the broker's: bring its keys with --keys")

func receiptCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "receipt", Short: "Check receipts", Args: cobra.NoArgs}
	var keys string
	verify := &cobra.Command{
		Use: "verify BUNDLE", Short: "Say what a bundle of receipts proves, without asking anybody", Args: cobra.ExactArgs(1),
		Long: "Reads the answer of GET …/filetransfer/{id}/receipts/bundle from a file, or with - from standard input, and checks every\n" +
			"signature, every link of the chain, that nothing was left out or added, and that the log holds each receipt. When a\n" +
			"receipt was changed, cut, moved or comes from elsewhere it says which, and exits 1.\n\n" +
			"With --keys only keys are believed that you once had from the broker, at /receipts/api/v1/jwks. Then it says in words\n" +
			"what is proven, that all of it is valid, and exits 0. Without, the keys in the bundle are believed, which whoever made\n" +
			"it chose: then it says that all of it is consistent, for the bundle agrees with itself and that is all, and exits 3.",
		Example: "  formidling receipt verify bundle.json --keys broker-keys.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readBundle(cmd, args[0])
			if err != nil {
				return fmt.Errorf("verify receipts: %w", err)
			}
			var trusted *jose.JSONWebKeySet
			if keys != "" {
				if trusted, err = readKeySet(keys); err != nil {
					return fmt.Errorf("verify receipts: %w", err)
				}
			}
			verdict, err := receipts.Verify(raw, trusted)
			if err != nil {
				return fmt.Errorf("verify receipts: NOT VALID: %w", err)
			}
			for _, s := range verdict.Sentences {
				fmt.Fprintln(cmd.OutOrStdout(), s)
			}
			if trusted == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "All of it is consistent.")
				return fmt.Errorf("verify receipts: %w", errUnproven)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "All of it is valid.")
			return nil
		},
	}
	verify.Flags().StringVar(&keys, "keys", "", "file with the broker's JSON Web Key Set")
	cmd.AddCommand(verify, proveCommand())
	return cmd
}

func readBundle(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	return os.ReadFile(name) //nolint:gosec // the user named it
}

func readKeySet(name string) (*jose.JSONWebKeySet, error) {
	raw, err := os.ReadFile(name) //nolint:gosec // the user named it
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("%s is no JSON Web Key Set: %w", name, err)
	}
	return &set, nil
}
