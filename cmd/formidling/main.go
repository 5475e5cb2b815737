// Command formidling is the whole broker in one binary: demo, run, api, worker, migrate, token, token-keys,
// receipt-keys, receipt, testpki, audit, config; and its client: send, inbox, receive, status. main.go holds the commands,
// config.go the settings, wire.go connects the packages, client_*.go is what the client commands share; the rest is one file
// per command.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	if err := root().ExecuteContext(ctx); err != nil {
		complain(os.Stderr, err)
		os.Exit(exitCode(err))
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "formidling",
		Short: "Formidling brokers large files between organisations",
		Long: "Formidling brokers large files between organisations: a sender's system hands over a file, the broker\n" +
			"guarantees that every recipient gets it and that everyone can trace it.\n\n" +
			"All settings are environment variables; `formidling config` lists them.",
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.AddCommand(demoCommand(), runCommand(), apiCommand(), workerCommand(), migrateCommand(), tokenCommand(), tokenKeysCommand(), receiptKeysCommand(), receiptCommand(), testpkiCommand(), auditCommand(), configCommand())
	cmd.AddCommand(sendCommand(), inboxCommand(), receiveCommand(), statusCommand())
	return cmd
}

// configured runs a command with the settings of the environment.
func configured(run func(ctx context.Context, c config) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		c, err := readConfig(os.Environ())
		if err != nil {
			return err
		}
		return run(cmd.Context(), c)
	}
}

func configCommand() *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "Print every setting, its default and its meaning", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range settings {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.name, orDash(s.fallback), s.meaning)
			}
			for _, s := range clientSettings {
				fmt.Fprintf(w, "%s\t%s\tsend, inbox, receive, status: %s\n", s.name, orDash(s.fallback), s.meaning)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			_, err := readConfig(os.Environ())
			return err
		},
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
