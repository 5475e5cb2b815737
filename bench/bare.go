package main

import (
	"context"
	"crypto/md5" //nolint:gosec // part of the work that is compared
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// peers are the servers that this program becomes when it is started with their name: each is a process
// of its own, so that its CPU and memory can be told from the client's.
var peers = map[string]func(args []string) error{"bare": bareServer, "direct": directServer}

// servePeer listens on a free port, prints where, and serves until it is told to stop.
func servePeer(h http.Handler) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Printf("http://%s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// bareServer is the least that stores and serves files as we promise to: three checksums, computed beside
// the copy, and durable when it answers. It knows no organisations, rights, transfers or events.
// POST /name stores, GET /name serves, DELETE /name removes. A second argument leaves MD5 out.
func bareServer(args []string) error {
	dir, withMD5 := args[0], len(args) < 2
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the caller is ourselves
		return err
	}
	return servePeer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := filepath.Join(dir, filepath.Base(r.URL.Path))
		switch r.Method {
		case http.MethodDelete:
			_ = os.Remove(path) //nolint:gosec // in our own directory
		case http.MethodPost:
			sums, err := bareStore(path, r.Body, withMD5)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			fmt.Fprintln(w, sums) //nolint:gosec // hexadecimal digits
		default:
			bareServe(w, r, path)
		}
	}))
}

func bareServe(w http.ResponseWriter, r *http.Request, path string) {
	f, err := os.Open(path) //nolint:gosec // in our own directory
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
}

const (
	bareBlock  = 1 << 20
	bareBlocks = 4
	bareWindow = 32 << 20 // written before its write-back begins
)

// bareBuffer is one block on its way through the hashes.
type bareBuffer struct {
	bytes []byte
	uses  sync.WaitGroup
}

// bareStore writes a body to a file, hashing it beside, and returns when it is durable.
func bareStore(path string, from io.Reader, withMD5 bool) (string, error) {
	f, err := os.Create(path) //nolint:gosec // in our own directory
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	hashes := []hash.Hash{sha256.New(), crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	if withMD5 {
		hashes = append(hashes, md5.New()) //nolint:gosec // see the import
	}
	lanes := make([]chan *bareBuffer, len(hashes))
	var hashing sync.WaitGroup
	for i, h := range hashes {
		lanes[i] = make(chan *bareBuffer, bareBlocks)
		hashing.Go(func() {
			for b := range lanes[i] {
				h.Write(b.bytes)
				b.uses.Done()
			}
		})
	}
	err = bareCopy(f, from, lanes)
	for _, lane := range lanes {
		close(lane)
	}
	hashing.Wait()
	if err == nil {
		err = f.Sync()
	}
	sums := ""
	for _, h := range hashes {
		sums += hex.EncodeToString(h.Sum(nil)) + " "
	}
	return sums, err
}

func bareCopy(f *os.File, from io.Reader, lanes []chan *bareBuffer) error {
	var ring [bareBlocks]bareBuffer
	for i := range ring {
		ring[i].bytes = make([]byte, bareBlock)
	}
	var size int64
	for i := 0; ; i = (i + 1) % bareBlocks {
		b := &ring[i]
		b.uses.Wait()
		n, end := io.ReadFull(from, b.bytes[:bareBlock])
		b.bytes = b.bytes[:n]
		b.uses.Add(len(lanes))
		for _, lane := range lanes {
			lane <- b
		}
		if _, err := f.Write(b.bytes); err != nil {
			return err
		}
		if size += int64(n); n > 0 && size%bareWindow == 0 {
			writeBack(f, size)
		}
		switch {
		case errors.Is(end, io.EOF), errors.Is(end, io.ErrUnexpectedEOF):
			return nil
		case end != nil:
			return end
		}
	}
}

// writeBack begins to write the last window to the disk and waits for the one before.
func writeBack(f *os.File, size int64) {
	fd := int(f.Fd())
	_ = unix.SyncFileRange(fd, size-bareWindow, bareWindow, unix.SYNC_FILE_RANGE_WRITE) // a hint; fsync decides
	if before := size - 2*bareWindow; before >= 0 {
		_ = unix.SyncFileRange(fd, before, bareWindow,
			unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	}
}

// startBare runs a bareServer.
func (l *lab) startBare(_ context.Context, part string) (*byteServer, error) {
	return l.bare("bare net/http", filepath.Join(l.tmp, part+"-bare"))
}

// startBareWithoutMD5 runs one that computes SHA-256 and CRC32C only.
func (l *lab) startBareWithoutMD5(_ context.Context, part string) (*byteServer, error) {
	return l.bare("bare net/http without MD5", filepath.Join(l.tmp, part+"-bare-without"), "without-md5")
}

func (l *lab) bare(name string, args ...string) (*byteServer, error) {
	p, base, err := l.startPeer("bare", args...)
	if err != nil {
		return nil, err
	}
	c := fileClient{base, http.MethodPost}
	return &byteServer{name: name, process: p, upload: c.upload, fetch: c.download, discard: c.discard}, nil
}

// fileClient speaks to a server that keeps files by their names, about one file.
type fileClient struct {
	base string
	put  string // the method that stores
}

func (c fileClient) do(ctx context.Context, method string, from io.Reader, size int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+"/file", from)
	if err != nil {
		return nil, err
	}
	r.ContentLength = size
	return send(wire, r)
}

func (c fileClient) upload(ctx context.Context, size int64) error {
	response, err := c.do(ctx, c.put, &body{left: size}, size)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close())
}

func (c fileClient) download(ctx context.Context, size int64) error {
	return fetchURL(ctx, c.base+"/file", size)
}

func (c fileClient) discard(ctx context.Context) error {
	response, err := c.do(ctx, http.MethodDelete, nil, 0)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
