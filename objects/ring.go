package objects

import (
	"io"
	"sync"
	"sync/atomic"
)

const (
	blockBytes = 256 << 10
	ringBlocks = 8 // per upload: one is being filled while the others are hashed
)

var blockPool = sync.Pool{New: func() any { return &block{buf: make([]byte, blockBytes)} }}

// block is a piece of a body that passes through several consumers.
type block struct {
	buf  []byte
	n    int          // bytes of buf in use
	uses atomic.Int32 // consumers that still need it
}

// ring passes blocks to one goroutine per hash, and takes each back when all are done with it.
// Its size is the backpressure: the slowest consumer holds blocks, and without a free block the
// reader reads no further.
type ring struct {
	free  chan *block
	taken []*block // from the pool, at most ringBlocks
	lanes []chan *block
	done  sync.WaitGroup
}

// pump reads in to its end through a ring, hashing into d while it calls sink, and returns the error that ended it,
// io.EOF if all is well. Its goroutines have ended when it returns.
func pump(in io.Reader, d *digest, sink func([]byte) error) error {
	r := &ring{free: make(chan *block, ringBlocks)}
	defer r.close()
	for {
		b := r.next()
		n, end := fill(in, b.buf)
		if end != nil && !isEnd(end) {
			return end
		}
		if b.n = n; n > 0 {
			r.start(d)
			if err := r.pass(b, sink); err != nil {
				return err
			}
		}
		if end != nil {
			return end
		}
	}
}

// next returns a free block. Blocks are taken from the pool one by one, so that a short body does not take a whole ring.
func (r *ring) next() *block {
	select {
	case b := <-r.free:
		return b
	default:
	}
	if len(r.taken) == ringBlocks {
		return <-r.free
	}
	b, _ := blockPool.Get().(*block)
	r.taken = append(r.taken, b)
	return b
}

// start begins one goroutine per hash, once there is something to hash.
func (r *ring) start(d *digest) {
	if r.lanes != nil {
		return
	}
	for _, hash := range d.lanes() {
		r.lane(hash)
	}
}

func (r *ring) lane(consume func([]byte)) {
	lane := make(chan *block, ringBlocks)
	r.lanes = append(r.lanes, lane)
	r.done.Go(func() {
		for b := range lane {
			consume(b.buf[:b.n])
			r.release(b)
		}
	})
}

// pass gives b to every hash and to sink.
func (r *ring) pass(b *block, sink func([]byte) error) error {
	b.uses.Store(int32(len(r.lanes)) + 1) //nolint:gosec // three lanes
	for _, lane := range r.lanes {
		lane <- b
	}
	err := sink(b.buf[:b.n])
	r.release(b)
	return err
}

func (r *ring) release(b *block) {
	if b.uses.Add(-1) == 0 {
		r.free <- b
	}
}

// close waits for the hashes to finish what they were given and returns the blocks.
func (r *ring) close() {
	for _, lane := range r.lanes {
		close(lane)
	}
	r.done.Wait()
	for _, b := range r.taken {
		blockPool.Put(b)
	}
}
