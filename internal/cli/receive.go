package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/client"
)

// receiveOptions are the flags of receive.
type receiveOptions struct {
	out                    string
	confirm, force, follow bool
	proof                  bool
	certificate            *tls.Certificate // with which it signs, with proof
}

func (c *Commands) receive() *cobra.Command {
	settings, o := c.config(), &receiveOptions{}
	cmd := &cobra.Command{
		Use: "receive [ID…]", Short: "Download files, verify them, and confirm them",
		Long: "Downloads the files of the transfers named, or of all in the inbox of --service, and prints where each is. A file\n" +
			"gets its name when every byte is there and its SHA-256 is right; until then it is a hidden .part file, with which\n" +
			"the same command goes on after Ctrl-C or kill -9. A file of another content that has the name is left alone, and\n" +
			"the transfer's id is put into the new one's name, unless --force.\n\n" +
			"With --confirm the sender is notified when the file is on the disk. Without it the transfer stays in the inbox.",
		Example: "  formidling receive 3fa85f64-5717-4562-b3fc-2c963f66afa6 --out in --confirm\n" +
			"  formidling receive --service my-service --out in --confirm --follow\n" +
			"  formidling receive 3fa85f64-5717-4562-b3fc-2c963f66afa6 --out - | tar x",
	}
	f := cmd.Flags()
	f.StringVarP(&o.out, "out", "o", ".", "directory for the files; - for standard output, whose reader must not trust the bytes when the exit code is 7")
	f.BoolVar(&o.confirm, "confirm", false, "confirm each file when it is on the disk")
	f.BoolVar(&o.proof, "proof", false, "sign for each file that is confirmed with FORMIDLING_CERTIFICATE, so that nobody can deny who has what")
	f.BoolVar(&o.force, "force", false, "replace files that have the name")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on, and receive each transfer that comes")
	cmd.ValidArgsFunction = completeIDs(settings, client.ScopeRead)
	return finish(cmd, settings, cobra.ArbitraryArgs, func(u *user, args []string) error {
		if o.proof && !o.confirm {
			return usageError{errors.New("--proof signs for what is confirmed: give --confirm too")}
		}
		var err error
		if o.certificate, err = u.prover(o.proof); err != nil {
			return err
		}
		switch {
		case o.follow && len(args) > 0:
			return usageError{errors.New("--follow receives what comes into the inbox: name no transfers")}
		case o.out == "-":
			return u.receiveStream(args, *o)
		case len(args) > 0:
			return u.receiveNamed(args, *o)
		}
		return u.receiveAll(*o)
	})
}

// receivedResult is what receive prints as JSON.
type receivedResult struct {
	ID        client.FileTransferID `json:"fileTransferId"`
	Path      string                `json:"path"`
	Name      string                `json:"fileName"` // as the sender chose it
	Size      int64                 `json:"fileTransferSize"`
	SHA256    string                `json:"sha256"`
	Confirmed bool                  `json:"confirmed"`
	Kept      bool                  `json:"wasThere"` // nothing was downloaded
	Seconds   float64               `json:"seconds"`
}

func (u *user) receiveNamed(args []string, o receiveOptions) error {
	var ids []client.FileTransferID
	for _, arg := range args {
		id, err := parseID(arg)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	var failures []error
	for _, id := range ids {
		if err := u.receive(id, o); err != nil {
			failures = append(failures, err)
			if !u.goesOn(err) {
				break
			}
		}
	}
	return u.first(failures)
}

// receiveAll receives what waits, oldest first. One file that fails does not keep the others back.
func (u *user) receiveAll(o receiveOptions) error {
	var failures []error
	for t, err := range u.waiting(o.follow) {
		if err == nil {
			err = u.receive(t.FileTransferID, o)
		}
		if err != nil {
			failures = append(failures, err)
			if !u.goesOn(err) {
				break
			}
			if o.follow {
				u.show.notice("%v", err)
			}
		}
	}
	return u.first(failures)
}

// goesOn tells whether a failure is of one transfer only.
func (u *user) goesOn(err error) bool {
	if u.ctx.Err() != nil {
		return false
	}
	for _, kind := range []error{client.ErrChecksum, client.ErrEnded, client.ErrRefused, client.ErrUnauthorized, client.ErrNotFound} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// first returns the first failure, which decides the exit code, and prints the others; an interruption precedes them all.
func (u *user) first(failures []error) error {
	for n, err := range failures {
		if errors.Is(err, context.Canceled) {
			return err
		}
		if n > 0 {
			u.show.notice("%v", err)
		}
	}
	if len(failures) == 0 {
		return nil
	}
	return failures[0]
}

func (u *user) receive(id client.FileTransferID, o receiveOptions) error {
	began := time.Now()
	u.show.titled(id.String())
	got, err := u.broker.ReceiveFile(u.ctx, id, client.FileOptions{Directory: o.out, Overwrite: o.force, Confirm: o.confirm, Proof: o.certificate, Progress: u.show.progress})
	if err != nil {
		return err
	}
	if u.json {
		return u.document(receivedResult{got.ID, got.Path, got.FileName, got.Size, got.SHA256, got.Confirmed, got.Kept, time.Since(began).Seconds()})
	}
	_, err = fmt.Fprintln(u.out, got.Path)
	return err
}

// receiveStream writes one file to standard output, and confirms it when every byte was right.
func (u *user) receiveStream(args []string, o receiveOptions) error {
	switch {
	case len(args) != 1:
		return usageError{errors.New("--out -: name one transfer")}
	case u.json:
		return usageError{errors.New("--out -: the file is on standard output, so there is no place for --json")}
	}
	id, err := parseID(args[0])
	if err != nil {
		return err
	}
	in, err := u.broker.Receive(u.ctx, id, client.ReceiveOptions{Progress: u.show.progress})
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	u.show.titled(in.FileName)
	if _, err := io.CopyBuffer(struct{ io.Writer }{u.out}, in, make([]byte, 1<<20)); err != nil {
		return err
	}
	switch {
	case o.confirm && o.proof:
		return u.broker.ConfirmProven(u.ctx, id, in.SHA256, o.certificate)
	case o.confirm:
		return u.broker.Confirm(u.ctx, id)
	}
	return nil
}
