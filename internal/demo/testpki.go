package demo

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/models"
)

// TestPKICommand is `formidling testpki`.
func TestPKICommand() *cobra.Command {
	var organisations, hosts []string
	cmd := &cobra.Command{
		Use: "testpki DIR", Short: "Write enterprise certificates of test organisations", Args: cobra.ExactArgs(1),
		Long: "Writes a whole test PKI into a directory: CAs, enterprise certificates of organisations, revocation lists,\n" +
			"a server certificate, the trust bundle that makes a broker accept them, and a certificate for every reason\n" +
			"to refuse one. A PKI that is there already keeps its CAs and gets the organisations that it lacks.",
		Example: "  formidling testpki var/pki\n  formidling testpki var/pki --org 310000027 --host broker.internal",
	}
	cmd.Flags().StringSliceVar(&organisations, "org", testpki.Organisations, "organisation number, 9 digits; may be given more than once")
	cmd.Flags().StringSliceVar(&hosts, "host", nil, "name or address of the broker besides localhost; may be given more than once")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, number := range organisations {
			if !models.ValidNorwegianNumber(number) {
				return fmt.Errorf("--org %q: it must be an organisation number of 9 digits, the last one a check digit", number)
			}
		}
		p, err := testpki.Open(args[0], time.Now())
		if err != nil {
			return err
		}
		if err := p.KeepServer(hosts...); err != nil {
			return err
		}
		for _, number := range organisations {
			if _, err := p.Enrol(number); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(args[0], number+".pem"))
		}
		return nil
	}
	return cmd
}
