package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/formidling/formidling/models"
)

// The names of the ways to upload to a broker.
const (
	wayPlain    = "Formidling"
	wayNoMD5    = "Formidling without MD5"
	wayTus      = "Formidling, tus"
	wayParallel = "Formidling, tus, 4 streams"
	wayHTTPS    = "Formidling, HTTPS"

	tusStreams = 4
)

// way is one way to send to a broker, and to fetch from it.
func (b *broker) way(name string, uses func(sender *organisation) error, service string, upload func(ctx context.Context, o *organisation, id string, size int64) error) (*byteServer, error) {
	sender, recipient, err := b.pair()
	if err != nil {
		return nil, err
	}
	if uses != nil {
		if err := errors.Join(uses(sender), uses(recipient)); err != nil {
			return nil, err
		}
	}
	id := ""
	return &byteServer{
		name: name, process: b.process,
		upload: func(ctx context.Context, size int64) (err error) {
			if id, err = sender.initialize(ctx, service, recipient.party); err != nil {
				return err
			}
			return upload(ctx, sender, id, size)
		},
		fetch: func(ctx context.Context, size int64) error { return recipient.download(ctx, id, size) },
		discard: func(ctx context.Context) error {
			if err := sender.cancel(ctx, id); err != nil {
				return err
			}
			_, err := b.purged(ctx, 0, time.Minute)
			return err
		},
	}, nil
}

func uploadPlain(ctx context.Context, o *organisation, id string, size int64) error {
	return o.upload(ctx, id, &body{left: size}, size)
}

// published waits until a transfer is; mostly it is already.
func (o *organisation) published(ctx context.Context, id string) error {
	return until(ctx, time.Minute, "the transfer is published", func(ctx context.Context) error {
		var v struct{ FileTransferStatus string }
		if err := o.call(ctx, http.MethodGet, "/filetransfer/"+id, nil, &v); err != nil {
			return err
		}
		if v.FileTransferStatus != models.TransferPublished.String() {
			return fmt.Errorf("it is %s", v.FileTransferStatus)
		}
		return nil
	})
}

// byteServer is the broker, seen as one that stores and serves bytes in the plain way.
func (b *broker) byteServer() (*byteServer, error) {
	return b.way(wayPlain, nil, serviceLater, uploadPlain)
}

// overTLS has an organisation log in with its certificate, on the broker's other listener.
func (b *broker) overTLS(o *organisation) error {
	pki := filepath.Join(b.data, "pki")
	file := filepath.Join(pki, o.party.Number()+".pem")
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return fmt.Errorf("log in with a certificate: %w", err)
	}
	root, err := os.ReadFile(filepath.Join(pki, "root.pem"))
	if err != nil {
		return fmt.Errorf("log in with a certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	secure := wireTransport()
	secure.TLSClientConfig = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	o.http, o.base, o.token = &http.Client{Transport: secure}, b.mtls+"/broker/api/v1", ""
	return nil
}

// servers starts the broker and all peers on the same disk; ours in the plain way is the first.
func (l *lab) servers(ctx context.Context, part string, ways func(b *broker) ([]*byteServer, error), peers ...func(context.Context, string) (*byteServer, error)) (all []*byteServer, stop func(), err error) {
	var running []func()
	stop = func() {
		for _, s := range running {
			s()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	b, err := l.startBroker(ctx, part, "")
	if err != nil {
		return nil, nil, err
	}
	running = append(running, b.stop)
	if all, err = ways(b); err != nil {
		return nil, nil, err
	}
	for _, begin := range peers {
		s, err := begin(ctx, part)
		if err != nil {
			return nil, nil, err
		}
		running = append(running, s.process.stop)
		all = append(all, s)
	}
	return all, stop, nil
}

// named finds a server among others.
func named(all []*byteServer, name string) *byteServer {
	for _, s := range all {
		if s.name == name {
			return s
		}
	}
	return &byteServer{} // its ratios are NaN, and reach nothing
}

func uploadWays(b *broker) ([]*byteServer, error) {
	var all []*byteServer
	for _, w := range []struct {
		name, service string
		uses          func(*organisation) error
		upload        func(context.Context, *organisation, string, int64) error
	}{
		{wayPlain, serviceLater, nil, uploadPlain},
		{wayHTTPS, serviceLater, b.overTLS, uploadPlain},
		{wayTus, serviceLater, nil, uploadTus},
		{wayParallel, serviceLater, nil, uploadParallel},
		{wayNoMD5, serviceNoMD5, nil, uploadPlain},
	} {
		s, err := b.way(w.name, w.uses, w.service, w.upload)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// upload compares durable uploads: the broker's, with all that a transfer needs, against the least that computes the
// same checksums and is as durable, and against what others run.
func upload(ctx context.Context, l *lab) (result, error) {
	all, stop, err := l.servers(ctx, "upload", uploadWays, l.startBare, l.startBareWithoutMD5, l.startTusd, l.startMinIO, l.startNginx)
	if err != nil {
		return result{}, err
	}
	defer stop()
	warm := min(l.size, 64<<20)
	for _, s := range all {
		if err := s.store(ctx, warm); err != nil {
			return result{}, fmt.Errorf("%s: %w", s.name, err)
		}
		if err := s.discard(ctx); err != nil {
			return result{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	err = l.alternate("upload", all, func(s *byteServer) error { return s.round(ctx, l.size) })
	of := func(a, b string) float64 { return ratios(named(all, a).rate, named(all, b).rate).median() }
	r := result{Tables: []table{compare(fmt.Sprintf("upload of %s until it is durable", formatSize(l.size)), all)}}
	r.Targets = []target{
		atLeast("upload, of the bare server with the same hashes", of(wayPlain, "bare net/http"), 0.9, "×"),
		atLeast("upload, of MinIO", of(wayPlain, "MinIO, and fsync"), 1.2, "×"),
		atLeast("upload without MD5, of tusd made durable", of(wayNoMD5, "tusd, and fsync"), 1, "×"),
		atLeast("upload by tus in 4 streams, of one stream", of(wayParallel, wayTus), 1, "×"),
	}
	r.note("tusd, MinIO and nginx answer before (all) bytes are on the disk; an fsync of their files is counted in their time, not in their CPU.")
	return r, err
}

func downloadWays(b *broker) ([]*byteServer, error) {
	plain, err := b.byteServer()
	if err != nil {
		return nil, err
	}
	secure, err := b.way(wayHTTPS, b.overTLS, serviceLater, uploadPlain)
	return []*byteServer{plain, secure}, err
}

// download compares downloads of one whole file, out of the page cache.
func download(ctx context.Context, l *lab) (result, error) {
	all, stop, err := l.servers(ctx, "download", downloadWays, l.startBare, l.startTusd, l.startMinIO, l.startNginx)
	if err != nil {
		return result{}, err
	}
	defer stop()
	for _, s := range all {
		if err := s.store(ctx, l.size); err != nil {
			return result{}, fmt.Errorf("%s: %w", s.name, err)
		}
		if err := s.fetch(ctx, l.size); err != nil {
			return result{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	err = l.alternate("download", all, func(s *byteServer) error { return s.measure(ctx, l.size, s.fetch) })
	of := func(a, b string) float64 { return ratios(named(all, a).rate, named(all, b).rate).median() }
	r := result{Tables: []table{compare(fmt.Sprintf("download of %s, from the page cache", formatSize(l.size)), all)}}
	r.Targets = []target{
		atLeast("download, of the bare server", of(wayPlain, "bare net/http"), 0.9, "×"),
		atLeast("download, of nginx", of(wayPlain, "nginx, and fsync"), 0.8, "×"),
	}
	return r, err
}
