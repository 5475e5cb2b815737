package receipts

import (
	"errors"

	"github.com/go-jose/go-jose/v4"

	"github.com/formidling/formidling/models"
)

// CheckChain checks that a stored receipt names the place where it is stored, and follows the one before it in its
// chain, whose Seq is 0 if there is none. With keys it checks the signature too; keys may be nil.
func CheckChain(keys *jose.JSONWebKeySet) func(r, before models.SignedReceipt) error {
	return func(r, before models.SignedReceipt) error {
		read := models.ReadReceipt
		if keys != nil {
			read = func(jws string) (models.Receipt, error) { return Open(*keys, jws) }
		}
		said, err := read(r.JWS)
		switch {
		case err != nil:
			return err
		case said.Transfer != r.TransferID || said.Seq != r.Seq || said.Recipient != r.Recipient:
			return errors.New("it is stored as another one than it is")
		case r.Seq != before.Seq+1 || said.Prev != before.Hash:
			return errors.New("it does not follow the one before it")
		}
		return nil
	}
}
