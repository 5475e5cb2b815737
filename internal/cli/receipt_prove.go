package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
)

// proveOptions are the flags of prove.
type proveOptions struct {
	transfer, sum           string
	service, reference, key string
	to                      []string
}

func proveCommand() *cobra.Command {
	o := proveOptions{}
	cmd := &cobra.Command{
		Use: "prove CERTIFICATE", Short: "Sign for a transfer's content with your own enterprise certificate", Args: cobra.ExactArgs(1),
		Long: "Prints the detached JWS that confirmdownload and acknowledgements take as proof, and upload as Formidling-Proof. The\n" +
			"file holds the certificate and its key in PEM. Compute the SHA-256 from the bytes that you have yourself.\n\n" +
			"Without --transfer it signs for a submission: what initialize takes as proof, before the transfer has an id. Its\n" +
			"sender is the certificate's organisation. --key ties it to one transfer.",
		Example: "  formidling receipt prove our.pem --transfer 3fa85f64-… --sha256 $(sha256sum file | cut -c-64)\n" +
			"  formidling receipt prove our.pem --service my-service --to 310000035 --reference order-17 --key order-17-1 --sha256 …",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := tls.LoadX509KeyPair(args[0], args[0])
			if err != nil {
				return fmt.Errorf("prove: %w", err)
			}
			payload, err := o.payload(c)
			if err != nil {
				return fmt.Errorf("prove: %w", err)
			}
			proof, err := identity.SignProof(c, payload)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), proof)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.transfer, "transfer", "", "the transfer's id")
	f.StringVar(&o.sum, "sha256", "", "SHA-256 of the content, lower-case hex")
	f.StringVar(&o.service, "service", "", "of a submission: the service's id")
	f.StringSliceVar(&o.to, "to", nil, "of a submission: the recipients, in the order in which initialize names them; by comma, or given more than once")
	f.StringVar(&o.reference, "reference", "", "of a submission: its sendersFileTransferReference")
	f.StringVar(&o.key, "key", "", "of a submission: its Idempotency-Key, if it has one")
	return cmd
}

// payload is what is signed.
func (o proveOptions) payload(c tls.Certificate) ([]byte, error) {
	ofSubmission := o.service != "" || o.reference != "" || o.key != "" || len(o.to) > 0
	switch {
	case !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(o.sum):
		return nil, errors.New("--sha256: it must be 64 hexadecimal digits in lower case")
	case o.transfer != "" && ofSubmission:
		return nil, errors.New("give --transfer, or --service, --to and --reference")
	case o.transfer == "" && !ofSubmission:
		return nil, errors.New("--transfer: it is missing; of a submission give --service, --to and --reference")
	case !ofSubmission:
		id, err := uuid.Parse(o.transfer)
		if err != nil {
			return nil, fmt.Errorf("--transfer: %w", err)
		}
		return models.ProofPayload(id, o.sum), nil
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return nil, err
	}
	sender, err := identity.Organisation(leaf)
	if err != nil {
		return nil, err
	}
	to, err := parseOrganisations(o.to)
	if err != nil {
		return nil, err
	}
	// as initialize will read it
	s, err := models.NewSubmission(models.Draft{
		FileName: "-", ResourceID: o.service, SendersReference: o.reference, Sender: string(sender), Recipients: to, SHA256: o.sum,
	}, len(to))
	if e, known := models.AsError(err); known && len(e.Fields) > 0 {
		return nil, fmt.Errorf("%s: %s", e.Fields[0].Field, e.Fields[0].Message)
	} else if err != nil {
		return nil, err
	}
	if o.key != "" {
		if err := models.CheckIdempotencyKey(o.key); err != nil {
			return nil, errors.New("--key: it must be 1 to 255 visible ASCII characters")
		}
	}
	s.IdempotencyKey = o.key
	return s.SubmissionProof().Payload(), nil
}
