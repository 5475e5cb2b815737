package objects

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/formidling/formidling/models"
)

// aheadBlocks is how many blocks one download holds: one on its way out, the others filled meanwhile. With the
// transport's buffer that is less than 1 MiB, also when the recipient is slow.
const aheadBlocks = 3

// readAhead reads from storage while its caller sends. Where a checksum is given, the last block comes out only when
// all of them match it.
type readAhead struct {
	ready chan *block // closed at the end, which err explains
	free  chan *block
	err   error
	ended chan struct{} // nothing reads or fills any more

	stop context.CancelFunc
	now  *block // partly read
	rest []byte // of it
}

// newReadAhead begins to read from d. stop ends d's context.
func newReadAhead(d *download, stop context.CancelFunc, check *uint32) *readAhead {
	r := &readAhead{
		ready: make(chan *block, aheadBlocks), free: make(chan *block, aheadBlocks), ended: make(chan struct{}), stop: stop,
	}
	go r.fill(d, check)
	return r
}

func (r *readAhead) fill(d *download, check *uint32) {
	defer close(r.ended)
	defer close(r.ready)
	defer d.close()
	made, sum := 0, uint32(0)
	for {
		var b *block
		if made < aheadBlocks { // one by one, so that a short range does not cost all
			b, _ = blockPool.Get().(*block)
			made++
		} else {
			select {
			case b = <-r.free:
			case <-d.ctx.Done():
				r.err = fmt.Errorf("read object: %w", d.ctx.Err())
				return
			}
		}
		n, err := fill(d, b.buf)
		b.n = n
		if check != nil {
			sum = crc32.Update(sum, castagnoli, b.buf[:n])
		}
		if check != nil && d.at == d.end && sum != *check {
			err = fmt.Errorf("read object: %w: its CRC32C is %08x, not %08x", models.ErrUnavailable, sum, *check)
			b.n = 0
		}
		r.ready <- b // as large as there are blocks
		if err != nil {
			r.err = err
			return
		}
	}
}

// Read implements io.Reader.
func (r *readAhead) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.now != nil {
			r.free <- r.now // as large as there are blocks
			r.now = nil
		}
		b, more := <-r.ready
		if !more {
			return 0, r.err
		}
		r.now, r.rest = b, b.buf[:b.n]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close implements io.Closer. It never fails: Read has reported what went wrong.
func (r *readAhead) Close() error {
	r.stop()
	<-r.ended
	for b := range r.ready {
		blockPool.Put(b)
	}
	for len(r.free) > 0 {
		blockPool.Put(<-r.free)
	}
	if r.now != nil {
		blockPool.Put(r.now)
	}
	r.now, r.rest, r.err = nil, nil, errClosed
	return nil
}

// errClosed is what a reader says that is read after its end.
var errClosed = errors.New("reader is closed")
