package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// downloadWindow is how many bytes are given DownloadPatience to arrive: a client slower than some 10 KB/s
// is taken for gone.
const downloadWindow = 1 << 20

// sendfileWindow is how many bytes the kernel is given at once for a client that keeps up: each turn costs.
const sendfileWindow = 4 * downloadWindow

// sendBytes is the buffer of a download that the kernel cannot copy by itself.
const sendBytes = 256 << 10

var sendPool = sync.Pool{New: func() any { return new([sendBytes]byte) }}

// send copies in windows, each with its own deadline, and counts in right what it has sent.
func send(c *gin.Context, from io.Reader, length int64, right *standing, patience time.Duration) error {
	piece, most, done := mover(c, from)
	defer done()
	connect := http.NewResponseController(c.Writer)
	window := int64(downloadWindow)
	for right.sent.Load() < length {
		began := time.Now()
		_ = connect.SetWriteDeadline(began.Add(patience)) // test recorders have no connection
		if err := right.lost(); err != nil {
			return err
		}
		n, err := piece(min(window, length-right.sent.Load()))
		right.sent.Add(n)
		late := errors.Is(err, os.ErrDeadlineExceeded) && n >= downloadWindow // of a larger window: it took what it must
		if err != nil && !late {
			return fmt.Errorf("send file: %w", err)
		}
		if window = most; time.Since(began) > patience/8 {
			window = downloadWindow
		}
	}
	if err := connect.Flush(); err != nil { // the last bytes too, while there is a deadline
		return fmt.Errorf("send file: %w", err)
	}
	return connect.SetWriteDeadline(time.Time{})
}

// mover returns what sends the next bytes, and how many it may be asked for. A file goes by sendfile(2) where nothing must
// be done to the bytes on their way, that is neither TLS nor HTTP/2; Gin's writer hides ReadFrom, the connection's own has
// it. Anything else goes through a buffer larger than the one of io.Copy: each write of it is one turn of the
// connection's scheduler with HTTP/2.
func mover(c *gin.Context, from io.Reader) (piece func(n int64) (int64, error), most int64, done func()) {
	var to io.Writer = c.Writer
	if inner, ok := c.Writer.(interface{ Unwrap() http.ResponseWriter }); ok {
		to = inner.Unwrap()
	}
	if _, isFile := from.(*os.File); isFile && c.Request.TLS == nil && c.Request.ProtoMajor == 1 {
		return func(n int64) (int64, error) { return io.CopyN(to, from, n) }, sendfileWindow, func() {}
	}
	buffer, _ := sendPool.Get().(*[sendBytes]byte)
	piece = func(n int64) (int64, error) { return copyN(to, from, n, buffer[:]) }
	return piece, downloadWindow, func() { sendPool.Put(buffer) }
}

func copyN(to io.Writer, from io.Reader, n int64, buffer []byte) (sent int64, err error) {
	for sent < n {
		got, end := from.Read(buffer[:min(int64(len(buffer)), n-sent)])
		if got > 0 {
			wrote, err := to.Write(buffer[:got])
			if sent += int64(wrote); err != nil {
				return sent, err
			}
		}
		switch {
		case sent == n:
		case errors.Is(end, io.EOF):
			return sent, io.ErrUnexpectedEOF
		case end != nil:
			return sent, end
		}
	}
	return sent, nil
}
