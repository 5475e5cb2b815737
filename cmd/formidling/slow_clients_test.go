package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/formidling/formidling/internal/plainclient"
)

// The slow clients: uploads of a few transfers, many tries of each (the first whole one wins), tus uploads, and
// downloads of one file.
const (
	slowTransfers = 16
	slowTries     = 50 // of each of them
	slowResumed   = 30
	slowDownloads = 1000 - slowTransfers*slowTries - slowResumed
	slowSize      = 256 << 10 // bytes of an upload
	slowHead      = 64 << 10  // of it, sent at once
	slowFile      = 6 << 20   // bytes of the download: more than the buffers of a connection hold
)

// gated gives the first bytes at once and the others when it is its turn.
type gated struct {
	head, rest io.Reader
	open       <-chan struct{} // nil: it was its turn
	opened     func()          // is called when it is
}

// Read implements io.Reader.
func (g *gated) Read(p []byte) (int, error) {
	if n, err := g.head.Read(p); !errors.Is(err, io.EOF) {
		return n, err
	}
	if g.open != nil {
		<-g.open
		g.open = nil
		g.opened()
	}
	return g.rest.Read(p)
}

// slowClients hold 1,000 requests open at one API process.
type slowClients struct {
	i       *installation
	http    *http.Client
	sender  *plainclient.Client
	reader  *plainclient.Client
	content pattern
	sum     string        // of the file to download
	open    chan struct{} // lets one client go on
	won     atomic.Int64
	ending  chan struct{} // holds one for each client that was let go on and has not ended; never more than slowEnds
}

// slowEnds is how many clients end at once: as many as a small machine can answer in good time.
const slowEnds = 50

// slowClient is one of them: it counts as ended when its request has returned and its body was let go on, in either order,
// for a request that is refused early leaves its body waiting.
type slowClient struct {
	ending  chan struct{}
	missing atomic.Int32
}

func (c *slowClient) step() {
	if c.missing.Add(-1) == 0 {
		<-c.ending
	}
}

// run lets a client do its request.
func (s *slowClients) run(request func(c *slowClient) error) func() error {
	return func() error {
		c := &slowClient{ending: s.ending}
		c.missing.Store(2)
		defer c.step()
		return request(c)
	}
}

// endOneByOne lets all clients go on, one after the other, as fast as those before have ended.
func (s *slowClients) endOneByOne(ctx context.Context) {
	for range 1000 {
		for _, next := range []chan struct{}{s.ending, s.open} {
			select {
			case next <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// TestSlowClients_AThousandAtOnceCostLittle holds 1,000 clients in the middle of their requests, counts what one API
// process needs for them, and lets them finish. It is not parallel: it measures.
func TestSlowClients_AThousandAtOnceCostLittle(t *testing.T) {
	dir := t.TempDir()
	i := installWith(t, "OBJECTS="+dir, "FORMIDLING_UPLOAD_SLOTS=1001", "FORMIDLING_UPLOADS_PER_ORGANISATION=1000")
	i.makeService()
	s := &slowClients{i: i, sender: i.as(testSender), reader: i.as(testRecipients[0]), content: newPattern(9), open: make(chan struct{}), ending: make(chan struct{}, slowEnds), http: &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{Control: smallWindow}).DialContext, ReadBufferSize: 4 << 10, WriteBufferSize: 4 << 10,
	}}}
	s.sum = s.content.sum(t, slowFile)
	file, plain, resumed := i.initialize(), s.transfers(slowTransfers), s.transfers(slowResumed)
	status, raw := i.ask(testSender, "POST", "/filetransfer/"+file+"/upload", s.content.from(0, slowFile), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))
	idle, _ := i.api.Memory(t)
	_, _, before := i.api.Descriptors(t, dir)
	i.api.ForgetPeak(t)

	clients, ctx := errgroup.WithContext(t.Context())
	for range slowDownloads {
		clients.Go(s.run(func(c *slowClient) error { return s.download(ctx, c, file) }))
	}
	for _, id := range plain {
		for range slowTries {
			clients.Go(s.run(func(c *slowClient) error { return s.upload(ctx, c, id) }))
		}
	}
	for _, id := range resumed {
		u := i.tus(i.url, id, slowSize)
		clients.Go(s.run(func(c *slowClient) error {
			_, err := u.patch(ctx, 0, s.body(c), slowSize)
			return err
		}))
	}
	s.allUnderWay(dir)
	now, _ := i.api.Memory(t)
	sockets, files, all := i.api.Descriptors(t, dir)
	s.endOneByOne(ctx)
	require.NoError(t, clients.Wait())
	_, peak := i.api.Memory(t)
	const mib = 1 << 20
	t.Logf("1,000 slow clients: %d MiB of memory above idle while they wait, %d at most (%.2f per client); %d descriptors: %d sockets, %d files",
		(now-idle)/mib, (peak-idle)/mib, float64(peak-idle)/mib/1000, all, sockets, files)
	require.Less(t, peak-idle, int64(1000*mib), "less than 1 MiB for each")
	require.Less(t, all-before, 2*1000+100, "a socket and a file for each, and a few")

	require.EqualValues(t, slowTransfers, s.won.Load(), "of many tries at one transfer one wins")
	for _, id := range append(plain, resumed...) {
		i.holds(id, s.content.sum(t, slowSize), slowSize)
	}
	s.http.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	require.Eventually(t, func() bool {
		_, _, after := i.api.Descriptors(t, dir)
		return after <= before+slowResumed+20 // what connections to the database and to idle clients need
	}, 20*time.Second, 100*time.Millisecond, "nothing stays open")
}

// smallWindow lets a connection receive little ahead of its reader, so that the bytes wait at the server.
func smallWindow(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10)
	})
	return errors.Join(err, failed)
}

func (s *slowClients) transfers(n int) []string {
	ids := make([]string, n)
	for k := range ids {
		ids[k] = s.i.initialize()
	}
	return ids
}

func (s *slowClients) body(c *slowClient) io.Reader {
	return &gated{head: s.content.from(0, slowHead), rest: s.content.from(slowHead, slowSize), open: s.open, opened: c.step}
}

// allUnderWay waits until the process has a connection for each client, and a file for each that reads or writes one.
func (s *slowClients) allUnderWay(dir string) {
	s.i.t.Helper()
	var sockets, files int
	require.Eventually(s.i.t, func() bool {
		sockets, files, _ = s.i.api.Descriptors(s.i.t, dir)
		return sockets >= 1000 && files >= slowDownloads+slowTransfers*slowTries
	}, 60*time.Second, 50*time.Millisecond, "a connection and a file for each")
}

func (s *slowClients) send(ctx context.Context, c *plainclient.Client, method, path string, body io.Reader, size int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = size
	r.Header.Set("Authorization", "Bearer "+c.Token)
	return s.http.Do(r)
}

// upload succeeds when it wins, and when another try of the same transfer did.
func (s *slowClients) upload(ctx context.Context, c *slowClient, id string) error {
	response, err := s.send(ctx, s.sender, http.MethodPost, "/filetransfer/"+id+"/upload", s.body(c), slowSize)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	switch response.StatusCode {
	case http.StatusOK:
		s.won.Add(1)
	case http.StatusConflict:
	default:
		err = fmt.Errorf("upload %s: %s %s", id, response.Status, said)
	}
	return err
}

func (s *slowClients) download(ctx context.Context, c *slowClient, id string) error {
	response, err := s.send(ctx, s.reader, http.MethodGet, "/filetransfer/"+id+"/download", nil, 0)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	h := sha256.New()
	if _, err := io.CopyN(h, response.Body, slowHead); err != nil {
		return err
	}
	<-s.open
	c.step()
	if _, err := io.Copy(h, response.Body); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != s.sum {
		return fmt.Errorf("download %s: its SHA-256 is %s", id, got)
	}
	return nil
}
