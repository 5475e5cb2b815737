package receipts

import (
	"errors"
	"fmt"
	"slices"

	"github.com/formidling/formidling/models"
)

// signedBy is the text that a proof of the bundle must sign. What the sender signed before the transfer existed is in the
// bundle too, and must belong to this transfer.
func (v *Verdict) signedBy(p models.BundledProof) ([]byte, error) {
	if p.Payload == "" {
		return models.ProofPayload(v.Statement.Transfer, p.SHA256), nil
	}
	said, err := models.ReadSubmissionProof(p.Payload)
	if err != nil {
		return nil, err
	}
	if said.SHA256 != p.SHA256 || said.Sender != p.Party || said.Sender != v.Statement.Sender {
		return nil, errors.New("it is of another submission")
	}
	if v.Statement.Viewer != v.Statement.Sender && !slices.Equal(said.Recipients, []models.Party{v.Statement.Viewer}) {
		return nil, errors.New("it is for other recipients")
	}
	for _, r := range v.Receipts {
		if err := said.Concerns(r); err != nil {
			return nil, err
		}
	}
	return []byte(p.Payload), nil
}

// submissionWords says what else was signed.
func submissionWords(p models.BundledProof) string {
	said, err := models.ReadSubmissionProof(p.Payload)
	if err != nil {
		return ""
	}
	to := fmt.Sprintf("%d recipients", len(said.Recipients))
	if len(said.Recipients) == 1 {
		to = string(said.Recipients[0])
	}
	return fmt.Sprintf(", to be sent in service %s to %s under its reference %q", said.Service, to, said.Reference)
}
