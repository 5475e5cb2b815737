package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Transfer describes a file to the broker and its recipients.
type Transfer struct {
	Service    string // id of the broker service
	Reference  string // the sender's own; it need not be unique
	FileName   string
	Sender     string // an organisation; who the caller is when empty
	Recipients []string
	Properties map[string]string // at most 10
	// SHA256 of the file in hexadecimal, when it is known; the broker publishes no file with another one. When empty
	// it is computed: before anything is sent when the source can be read twice, else while sending.
	SHA256           string
	DisableVirusScan bool
}

// Way is how the bytes of a file travel.
type Way string

// The ways.
const (
	WayAuto  Way = ""      // in pieces when the broker takes them and the file is not small, else plain
	WayPlain Way = "plain" // in one request: least overhead, and all again when the connection breaks
	WayTus   Way = "tus"   // in pieces (tus 1.0.0), which go on after a break where the broker has them
)

// SendOptions say how to send. The zero value is good for any file.
type SendOptions struct {
	Way Way
	// Parts is how many connections carry the file at once, by tus and for a source that may be read in any order; at
	// most 64, 1 by default.
	Parts int
	// Undeclared skips reading the source for its checksum before sending it. Unless Transfer.SHA256 states one, only the
	// size is then compared with what is published. A source that can be read only once is hashed while it is sent, and
	// compared, in any case.
	Undeclared bool
	// Proof, when set, is the sender's enterprise certificate, with which it signs for what it sends: at initialize and
	// with the upload when the checksum is declared, else when the file is published. Not with Undeclared.
	Proof *tls.Certificate
	// Resume goes on where an earlier Send of the same Transfer and source stopped.
	Resume *Checkpoint
	// Save, when set, is given what Resume needs, whenever that changes; it must be durable when Save returns. An error
	// ends Send.
	Save func(Checkpoint) error
	// Progress, when set, is called with how far it has come: often, and one call at a time.
	Progress func(Progress)
}

// Checkpoint is what another process needs to go on with a Send: it is small, and JSON.
type Checkpoint struct {
	Key    string          `json:"key"` // Idempotency-Key
	SHA256 string          `json:"sha256,omitempty"`
	ID     *FileTransferID `json:"fileTransferId,omitempty"`
	Parts  []Part          `json:"parts,omitempty"`
}

// Part is one of the parallel parts of a file.
type Part struct {
	URL      string `json:"url"` // of its tus upload; empty until the broker has made it
	From, To int64  // bytes [From, To) of the file
}

// Sent is a file that the broker has.
type Sent struct {
	ID     FileTransferID
	Status FileTransferStatus // Published, or a later one
	Size   int64              // bytes
	SHA256 string             // of the file, as the broker has it
}

// smallFile is what travels plain when nobody says how, in bytes: it is sent again faster than it is resumed.
const smallFile = 8 << 20

const maxParts = 64

// sending is one Send.
type sending struct {
	b *Broker
	t Transfer
	s Source
	o SendOptions

	mu         sync.Mutex // guards checkpoint and its saving
	checkpoint Checkpoint
	id         FileTransferID
	meter      *meter
	row        *patience // of the upload: what any part achieves, all have
	hashed     *hashing  // of a source that is read once
	proof      string    // for the declared content; empty: none
}

// Send sends a file and returns when it is published: every byte is durable and verified, and the recipients may have
// it. Failures that may pass are waited out as Options.Retry says. When it returns an error, calling it again with the
// Checkpoint that was saved last goes on with the same transfer; a new Checkpoint begins another one.
func (b *Broker) Send(ctx context.Context, t Transfer, s Source, o SendOptions) (Sent, error) {
	if o.Parts < 0 || o.Parts > maxParts {
		return Sent{}, fmt.Errorf("parts must be 1 to %d", maxParts)
	}
	if o.Proof != nil && o.Undeclared && t.SHA256 == "" && s.again != nil {
		return Sent{}, errors.New("a proof needs the checksum of the file: do not leave it undeclared")
	}
	g := &sending{b: b, t: t, s: s, o: o, checkpoint: Checkpoint{Key: rand.Text()}}
	if o.Resume != nil {
		g.checkpoint = *o.Resume
	}
	if s.again == nil {
		g.hashed = newHashing(s.once)
	}
	if err := g.declare(ctx); err != nil {
		return Sent{}, err
	}
	if err := g.save(func(*Checkpoint) {}); err != nil {
		return Sent{}, err
	}
	if err := g.initialize(ctx); err != nil {
		return Sent{}, fmt.Errorf("initialize: %w", err)
	}
	if err := g.proveDeclared(); err != nil {
		return Sent{ID: g.id}, err
	}
	g.meter, g.row = newMeter(o.Progress, PhaseUpload, g.id, s.size), b.retry.begin()
	if o.Resume == nil || !g.arrived(ctx) {
		if err := g.upload(ctx); err != nil {
			return Sent{ID: g.id}, fmt.Errorf("send transfer %s: %w", g.id, err)
		}
	}
	sent, err := g.settle(ctx)
	if err == nil {
		err = g.proveSent(ctx)
	}
	if err != nil {
		return sent, fmt.Errorf("send transfer %s: %w", g.id, err)
	}
	return sent, nil
}

// save changes the checkpoint and makes it durable.
func (g *sending) save(change func(*Checkpoint)) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.checkpoint)
	if g.o.Save == nil {
		return nil
	}
	if err := g.o.Save(g.checkpoint); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// declare finds the checksum, before the transfer is initialized with it.
func (g *sending) declare(ctx context.Context) error {
	switch {
	case g.t.SHA256 != "":
		g.checkpoint.SHA256 = strings.ToLower(g.t.SHA256)
	case g.checkpoint.SHA256 != "" || g.s.again == nil || g.o.Undeclared:
	default:
		sum := sha256.New()
		m := newMeter(g.o.Progress, PhaseChecksum, FileTransferID{}, g.s.size)
		n, err := checksum(ctx, sum, g.s.section(0, g.s.size), m)
		if err != nil {
			return err
		}
		if n != g.s.size {
			return fmt.Errorf("read file: it has %d bytes, and had %d", n, g.s.size)
		}
		g.checkpoint.SHA256 = hexSum(sum)
	}
	return nil
}

// initialize starts the transfer, or finds the one that this key started.
func (g *sending) initialize(ctx context.Context) error {
	sender := g.t.Sender
	if sender == "" {
		me, err := g.b.Me(ctx)
		if err != nil {
			return err
		}
		sender = me.Organization
	}
	body := FileTransferInitialize{
		FileName: g.t.FileName, ResourceID: g.t.Service, SendersFileTransferReference: g.t.Reference,
		Sender: sender, Recipients: g.t.Recipients,
	}
	if len(g.t.Properties) > 0 {
		properties := PropertyList(g.t.Properties)
		body.PropertyList = &properties
	}
	if g.checkpoint.SHA256 != "" {
		body.Sha256 = &g.checkpoint.SHA256
	}
	if g.t.DisableVirusScan {
		body.DisableVirusScan = &g.t.DisableVirusScan
	}
	if err := g.proveSubmission(&body); err != nil {
		return err
	}
	key := g.checkpoint.Key
	made, err := Decode[FileTransferInitialized](g.b.API.InitializeFileTransfer(ctx, &InitializeFileTransferParams{IdempotencyKey: &key}, body))
	if err != nil {
		return err
	}
	g.id = made.FileTransferID
	return g.save(func(c *Checkpoint) { c.ID = &made.FileTransferID })
}

// uploaded reports whether the broker has all bytes or wants no more of them; settle finds out whether the transfer is
// sound.
func (g *sending) uploaded(ctx context.Context) (bool, error) {
	t, err := g.b.Overview(ctx, g.id)
	if err != nil {
		return false, err
	}
	awaits := t.FileTransferStatus == FileTransferStatusInitialized || t.FileTransferStatus == FileTransferStatusUploadStarted
	return !awaits, nil
}

// arrived is uploaded for a caller that already has an error to report.
func (g *sending) arrived(ctx context.Context) bool {
	done, err := g.uploaded(ctx)
	return done && err == nil
}

// upload carries the bytes.
func (g *sending) upload(ctx context.Context) error {
	if g.s.again == nil {
		return g.uploadOnce(ctx)
	}
	if g.o.Way == WayPlain || g.o.Way == WayAuto && g.s.size <= smallFile && len(g.checkpoint.Parts) == 0 {
		return g.plain(ctx)
	}
	err := g.tus(ctx)
	if g.o.Way == WayAuto && errors.Is(err, errNoTus) {
		return g.plain(ctx)
	}
	return g.despite(ctx, err)
}

// despite ignores the refusal of a piece when the broker has all of them, or has ended the transfer: settle has the
// better explanation.
func (g *sending) despite(ctx context.Context, err error) error {
	var refused *Error
	if errors.As(err, &refused) && !refused.mayPass() && g.arrived(ctx) {
		return nil
	}
	return err
}

// settle waits for the broker to publish what it has, and compares what it has with what was read.
func (g *sending) settle(ctx context.Context) (Sent, error) {
	t, err := g.b.Watch(ctx, g.id, WatchOptions{Until: UntilPublished, Changed: func(t FileTransferOverview) {
		if t.FileTransferStatus == FileTransferStatusUploadProcessing {
			g.meter.change(func(p *Progress) { p.Phase = PhaseVerifying })
		}
	}})
	sent := Sent{ID: g.id, Status: t.FileTransferStatus, Size: t.FileTransferSize}
	if t.Sha256 != nil {
		sent.SHA256 = *t.Sha256
	}
	var ended *EndedError
	if errors.As(err, &ended) && mismatched(ended.Text) {
		return sent, fmt.Errorf("%w: %w", ErrChecksum, err)
	}
	if err != nil {
		return sent, err
	}
	own := &ChecksumError{Declared: g.checkpoint.SHA256, Actual: sent.SHA256, DeclaredSize: g.s.size, ActualSize: sent.Size}
	if g.hashed != nil && g.hashed.size > 0 {
		own.Declared, own.DeclaredSize = hexSum(g.hashed.hash), g.hashed.size
	}
	if own.Declared != "" && own.Declared != own.Actual || own.DeclaredSize >= 0 && own.DeclaredSize != own.ActualSize {
		return sent, own
	}
	return sent, nil
}

// mismatched tells whether a failed transfer's text speaks of a checksum that is not the declared one.
func mismatched(text string) bool { return strings.Contains(strings.ToLower(text), "checksum") }
