// Command formidling is the whole broker in one binary. Its servers are run, api and worker; migrate, audit, token-keys,
// receipt-keys and config look after them. The commands of clients (send, inbox, receive, status, token, receipt) are in
// internal/cli, demo and testpki in internal/demo.
//
// main.go puts the commands together, settings.go is the table of settings and config.go what follows from them, and
// wire.go connects the packages. The rest is one file per command, or per part of a server that needs connecting.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/internal/cli"
	"github.com/formidling/formidling/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	if err := root().ExecuteContext(ctx); err != nil {
		cli.Complain(os.Stderr, err)
		os.Exit(cli.ExitCode(err))
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
	cmd.AddCommand(runCommand(), apiCommand(), workerCommand(), migrateCommand(), auditCommand(), tokenKeysCommand(), receiptKeysCommand(), configCommand())
	cmd.AddCommand(demo.Command(serveDemo), demo.TestPKICommand())
	cmd.AddCommand(cli.New(cli.Options{Environ: os.Environ(), ServerSettings: table.Names(), Server: ownServer}).All()...)
	addVersion(cmd)
	return cmd
}

// ownServer tells client commands of the server that the environment configures.
func ownServer() (cli.Server, error) {
	c, err := readConfig(os.Environ())
	return cli.Server{Listen: c.Listen, PublicURL: c.PublicURL, Data: c.Data}, err
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
			for _, s := range table {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, orDash(s.Default), meaning(s))
			}
			for _, s := range cli.Settings() {
				fmt.Fprintf(w, "%s\t-\tsend, inbox, receive, status: %s\n", s.Name, s.Meaning)
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
