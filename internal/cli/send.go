package cli

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/client"
)

// sendOptions are the flags of send.
type sendOptions struct {
	to, properties          []string
	reference, name, sender string
	sha256, way             string
	parallel                int
	undeclared, fresh       bool
	proof                   bool
}

func (c *Commands) send() *cobra.Command {
	settings, o := c.config(), &sendOptions{}
	cmd := &cobra.Command{
		Use: "send FILE --to ORGANISATION --service ID", Short: "Send a file to one or many organisations",
		Long: "Sends a file and prints the id of its transfer when it is published: stored, verified, and there for the\n" +
			"recipients. FILE is - for standard input.\n\n" +
			"Connections that break are made again. After Ctrl-C or kill -9 the same command goes on with the same transfer,\n" +
			"as long as the file, the broker and all that describes the transfer are the same; standard input begins anew.",
		Example: "  formidling send a.zip --service my-service --to 310000035,310000043\n" +
			"  formidling send big.bin --service my-service --to 310000035 --parallel 4\n" +
			"  tar c dir | formidling send - --name dir.tar --service my-service --to 310000035",
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.to, "to", nil, "organisation that shall receive: nine digits, or 0192: and nine digits; by comma, or given more than once")
	f.StringVar(&o.reference, "reference", "", "your own reference; default the file's name")
	f.StringVar(&o.name, "name", "", "the file's name for the recipients; default FILE's")
	f.StringVar(&o.sender, "sender", "", "organisation that sends; default the one that you log in as")
	f.StringArrayVar(&o.properties, "property", nil, "KEY=VALUE for the recipients; at most 10, given one by one")
	f.IntVar(&o.parallel, "parallel", 1, "connections that carry the file at once, at most 64")
	f.StringVar(&o.way, "way", "auto", "plain: in one request; tus: in pieces that survive a break; auto: what suits the file")
	f.StringVar(&o.sha256, "sha256", "", "the file's SHA-256 when you know it; the broker refuses other bytes")
	f.BoolVar(&o.undeclared, "undeclared", false, "do not read the file for its SHA-256 before sending it")
	f.BoolVar(&o.proof, "proof", false, "sign for the file with FORMIDLING_CERTIFICATE, so that nobody can deny who sent what")
	f.BoolVar(&o.fresh, "new", false, "begin a new transfer, also when one can be gone on with")
	return finish(cmd, settings, cobra.ExactArgs(1), func(u *user, args []string) error { return u.send(args[0], *o) })
}

// sentResult is what send prints as JSON.
type sentResult struct {
	ID      client.FileTransferID     `json:"fileTransferId"`
	Status  client.FileTransferStatus `json:"fileTransferStatus"`
	Name    string                    `json:"fileName"`
	Size    int64                     `json:"fileTransferSize"`
	SHA256  string                    `json:"sha256"`
	Resumed bool                      `json:"resumed"` // by this run
	Seconds float64                   `json:"seconds"`
}

func (u *user) send(file string, o sendOptions) error {
	t, err := u.transferOf(file, &o)
	if err != nil {
		return err
	}
	certificate, err := u.prover(o.proof)
	if err != nil {
		return err
	}
	f, err := openSource(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	source, err := client.FromFile(f)
	if err != nil {
		return err
	}
	state, err := u.openSendState(f, t)
	if err != nil {
		return err
	}
	defer state.close()
	if o.fresh {
		state.forget()
	}
	u.show.titled(t.FileName)
	began := time.Now()
	sent, resumed, err := u.sendOn(source, t, o, certificate, state)
	if err != nil {
		return err
	}
	u.show.close()
	if u.json {
		return u.document(sentResult{sent.ID, sent.Status, t.FileName, sent.Size, sent.SHA256, resumed, time.Since(began).Seconds()})
	}
	u.show.notice("%s is %s: %s, SHA-256 %s", visible(t.FileName), sent.Status, bytesText(sent.Size), sent.SHA256)
	_, err = fmt.Fprintln(u.out, sent.ID)
	return err
}

// transferOf reads what describes the transfer.
func (u *user) transferOf(file string, o *sendOptions) (client.Transfer, error) {
	var t client.Transfer
	if err := u.needService(); err != nil {
		return t, err
	}
	to, err := parseOrganisations(o.to)
	if err != nil {
		return t, err
	}
	if o.way != "auto" && o.way != "plain" && o.way != "tus" {
		return t, usageError{fmt.Errorf("--way %q: it must be auto, plain or tus", o.way)}
	}
	if o.proof && o.undeclared && o.sha256 == "" && file != "-" {
		return t, usageError{errors.New("--proof signs for the file's SHA-256: leave --undeclared out, or give --sha256")}
	}
	if o.parallel < 1 || o.parallel > 64 {
		return t, usageError{fmt.Errorf("--parallel %d: it must be 1 to 64", o.parallel)}
	}
	if o.name == "" {
		if file == "-" {
			return t, usageError{errors.New("standard input has no name: give it one with --name")}
		}
		o.name = filepath.Base(file)
	}
	if o.reference == "" {
		o.reference = o.name
	}
	t = client.Transfer{Service: u.Service, Reference: o.reference, FileName: o.name, Sender: o.sender, Recipients: to, SHA256: o.sha256}
	for _, property := range o.properties {
		key, value, found := strings.Cut(property, "=")
		if !found || key == "" {
			return t, usageError{fmt.Errorf("--property %q: it must be KEY=VALUE", property)}
		}
		if t.Properties == nil {
			t.Properties = map[string]string{}
		}
		t.Properties[key] = value
	}
	return t, nil
}

func openSource(file string) (*os.File, error) {
	if file == "-" {
		return os.Stdin, nil
	}
	f, err := os.Open(file) //nolint:gosec // G304: its user named it
	if err != nil {
		return nil, usageError{err}
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close()
		return nil, usageError{fmt.Errorf("%s is a directory; send an archive of it", file)}
	}
	return f, nil
}

// sendOn sends, from where an earlier run stopped. When that run's transfer is at its end, a new one is begun.
func (u *user) sendOn(source client.Source, t client.Transfer, o sendOptions, proof *tls.Certificate, state *sendState) (sent client.Sent, resumed bool, err error) {
	options := client.SendOptions{Parts: o.parallel, Undeclared: o.undeclared, Progress: u.show.progress, Save: state.save, Resume: state.checkpoint, Proof: proof}
	if o.way != "auto" {
		options.Way = client.Way(o.way)
	}
	resumed = options.Resume != nil && options.Resume.ID != nil
	if resumed {
		u.show.notice("going on with transfer %s", options.Resume.ID)
	}
	sent, err = u.broker.Send(u.ctx, t, source, options)
	if resumed && atItsEnd(err) && !errors.Is(err, client.ErrChecksum) {
		u.show.notice("%v; beginning a new transfer", err)
		state.forget()
		options.Resume, resumed = nil, false
		sent, err = u.broker.Send(u.ctx, t, source, options)
	}
	switch {
	case err == nil, atItsEnd(err):
		state.forget()
	case !state.kept(), state.checkpoint.ID == nil:
	case errors.Is(err, client.ErrUnauthorized):
		u.show.notice("the same command goes on with this transfer when you are let in; the broker may have all of the file already")
	default:
		u.show.notice("the same command goes on with this transfer; with --new it begins another one")
	}
	return sent, resumed, err
}

// atItsEnd reports whether a failure ends the transfer for good. A refusal by a gateway, or of a token that has expired,
// does not: the broker may have the file, and forgetting the transfer would send it twice.
func atItsEnd(err error) bool {
	var refused *client.Error
	return errors.Is(err, client.ErrEnded) || errors.Is(err, client.ErrChecksum) || errors.As(err, &refused) && refused.Code == codeNoTransfer
}

// codeNoTransfer is the code for a transfer that does not exist; only the broker sends it, no gateway does.
const codeNoTransfer = "BRO-00001"
