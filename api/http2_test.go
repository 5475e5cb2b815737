package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/apitest"
)

// net/http documents smaller bounds than it heeds: should it heed them one day, uploads would become slow unseen.
func TestHTTP2_HasTheWindowsItIsToHave(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.Config = api.NewHTTPServer(http.NotFoundHandler())
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "https://"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	framer := http2.NewFramer(conn, conn)
	require.NoError(t, framer.WriteSettings())
	const unset = 65535 // RFC 9113, 6.9.2
	stream, connection, streams := uint32(unset), uint32(unset), uint32(0)
	for connection == unset {
		frame, err := framer.ReadFrame()
		require.NoError(t, err)
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
				stream = v
			}
			if v, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
				streams = v
			}
		case *http2.WindowUpdateFrame:
			connection += f.Increment
		}
	}
	require.EqualValues(t, api.StreamWindow, stream)
	require.EqualValues(t, api.ConnectionWindow, connection)
	require.EqualValues(t, api.StreamsAtOnce, streams)
}

// distant is a connection whose bytes to the server take a while, as over a long line.
type distant struct {
	net.Conn
	late chan latePiece
}

type latePiece struct {
	due   time.Time
	bytes []byte
}

func newDistant(conn net.Conn, oneWay time.Duration) net.Conn {
	d := &distant{Conn: conn, late: make(chan latePiece, 1<<16)}
	go func() {
		for p := range d.late {
			time.Sleep(time.Until(p.due))
			if _, err := conn.Write(p.bytes); err != nil {
				return
			}
		}
	}()
	return &distantWriter{distant: d, wait: oneWay}
}

type distantWriter struct {
	*distant
	wait time.Duration
}

func (d *distantWriter) Write(p []byte) (int, error) {
	d.late <- latePiece{time.Now().Add(d.wait), bytes.Clone(p)}
	return len(p), nil
}

// BenchmarkUpload measures one upload of 128 MiB to the local disk, MD5 off, over each wire: near, and with 20 ms on
// the way there, where HTTP/2 is as fast as its windows let it be.
func BenchmarkUpload(b *testing.B) {
	const size = 128 << 20
	file := make([]byte, size)
	for _, w := range apitest.Wires {
		for _, away := range []time.Duration{0, 20 * time.Millisecond} {
			b.Run(fmt.Sprintf("%s/%s away", w.Name, away), func(b *testing.B) {
				x := apitest.Setup(b)
				x.Policy(`{"computeMd5":false}`)
				x.Over(w)
				transport, _ := w.Transport()
				if dial := transport.DialContext; away > 0 {
					transport.DialContext = nil
					near := func(conn net.Conn, err error) (net.Conn, error) {
						if err != nil {
							return nil, err
						}
						return newDistant(conn, away), nil
					}
					transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
						return near(dial(ctx, network, address))
					}
				}
				client := &http.Client{Transport: transport}
				b.SetBytes(size)
				for b.Loop() {
					b.StopTimer()
					id := x.Initialize()
					r := x.Request(alice, "POST", "/filetransfer/"+id+"/upload", bytes.NewReader(file), "Content-Type", "application/octet-stream")
					b.StartTimer()
					response, err := client.Do(r)
					require.NoError(b, err)
					require.Equal(b, http.StatusOK, response.StatusCode)
					require.NoError(b, response.Body.Close())
				}
			})
		}
	}
}

func TestServer_AnswersNothingThatIsNoOperation(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.Config = api.NewHTTPServer(http.NotFoundHandler())
	server.Start()
	t.Cleanup(server.Close)
	for _, method := range []string{http.MethodOptions, http.MethodGet} {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
		require.NoError(t, err)
		r.URL.Path, r.URL.Opaque = "", "*"
		answer, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusNotFound, answer.StatusCode, method)
	}
}
