package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/identity"
)

func runCommand() *cobra.Command {
	ports := temporalPorts{server: 7233, ui: 8233}
	cmd := &cobra.Command{
		Use: "run", Short: "Serve everything on this machine, with nothing but this program", Args: cobra.NoArgs,
		Long: "Serves the API, the worker and Temporal with its UI on loopback. State lies in FORMIDLING_DATA and stays.\n" +
			"Tokens are made by `formidling token`.",
	}
	cmd.Flags().IntVar(&ports.server, "temporal-port", ports.server, "port of the Temporal server; 0 takes a free one")
	cmd.Flags().IntVar(&ports.ui, "temporal-ui-port", ports.ui, "port of the Temporal UI; 0 for none, -1 takes a free one")
	cmd.RunE = configured(func(ctx context.Context, c config) error {
		if err := identity.RequireLoopback(c.Listen, c.PublicURL); err != nil {
			return err
		}
		return runEmbedded(ctx, c, ports, func(ctx context.Context, e *embedded) error {
			e.welcome(cmd.OutOrStdout())
			<-ctx.Done()
			return nil
		})
	})
	return cmd
}

func (e *embedded) welcome(w io.Writer) {
	base := "http://" + e.addr.String()
	fmt.Fprintf(w, "Formidling serves.\n  API          %s/broker/api/v1\n  API docs     %s/docs/\n", base, base)
	if e.ui != "" {
		fmt.Fprintf(w, "  Temporal UI  %s\n", e.ui)
	}
	fmt.Fprintf(w, "  Token        bin/formidling token --org 310000027\nStop with Ctrl-C.\n")
}
