package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/internal/devtemporal"
)

// defaultMTLS is where run lets organisations log in with their certificate.
const defaultMTLS = "127.0.0.1:8443"

func runCommand() *cobra.Command {
	ports := devtemporal.Ports{Server: 7233, UI: 8233}
	cmd := &cobra.Command{
		Use: "run", Short: "Serve everything on this machine, with nothing but this program", Args: cobra.NoArgs,
		Long: "Serves the API, the worker and Temporal with its UI on loopback. State lies in FORMIDLING_DATA and stays.\n" +
			"Organisations log in with certificates of a test PKI in FORMIDLING_DATA/pki, at FORMIDLING_MTLS_LISTEN, or with\n" +
			"tokens of `formidling token`.",
	}
	cmd.Flags().IntVar(&ports.Server, "temporal-port", ports.Server, "port of the Temporal server; 0 takes a free one")
	cmd.Flags().IntVar(&ports.UI, "temporal-ui-port", ports.UI, "port of the Temporal UI; 0 for none, -1 takes a free one")
	cmd.RunE = configured(func(ctx context.Context, c config) error {
		if c.development() {
			if err := identity.RequireLoopback(c.Listen, c.PublicURL); err != nil {
				return err
			}
		}
		if c.development() && c.MTLSListen == "" {
			c.MTLSListen, c.MTLSURL = defaultMTLS, "https://"+defaultMTLS
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
	base := e.config.PublicURL
	fmt.Fprintf(w, "Formidling serves.\n  API          %s/broker/api/v1\n  API docs     %s/docs/\n", base, base)
	if e.ui != "" {
		fmt.Fprintf(w, "  Temporal UI  %s\n", e.ui)
	}
	if e.config.development() {
		fmt.Fprintf(w, "  Certificates curl --cacert %[1]s/root.pem --cert %[1]s/310000027.pem %[2]s/identity/api/v1/me\n", e.config.pkiDirectory(), e.config.MTLSURL)
	}
	fmt.Fprintf(w, "Stop with Ctrl-C.\n")
}
