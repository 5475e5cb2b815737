package objects

import (
	"hash"
	"sync"

	"github.com/formidling/formidling/models"
)

// hashing passes blocks to one goroutine per hash, like ring, and can also return the hashes' states in between.
type hashing struct {
	sha, md hash.Hash // nil: they are not wanted
	free    chan *block
	taken   []*block
	lanes   []chan laneItem
	done    sync.WaitGroup
}

// laneItem is a block, or a place at which somebody waits for the lane.
type laneItem struct {
	block *block
	here  *sync.WaitGroup
}

// newHashing goes on where the draft's hashes ended.
func newHashing(d models.TusDraft) (*hashing, error) {
	h := &hashing{free: make(chan *block, ringBlocks)}
	if !d.CarryAll {
		return h, nil
	}
	var err error
	if h.sha, h.md, err = d.Hashes.Resume(); err != nil {
		return nil, err
	}
	h.lane(func(p []byte) { h.sha.Write(p) })
	if h.md != nil {
		h.lane(func(p []byte) { h.md.Write(p) })
	}
	return h, nil
}

func (h *hashing) lane(consume func([]byte)) {
	lane := make(chan laneItem, ringBlocks+1)
	h.lanes = append(h.lanes, lane)
	h.done.Go(func() {
		for i := range lane {
			if i.here != nil {
				i.here.Done()
				continue
			}
			consume(i.block.buf[:i.block.n])
			h.release(i.block)
		}
	})
}

// next returns a free block. It waits for the slowest hash, and so slows the reader down.
func (h *hashing) next() *block {
	select {
	case b := <-h.free:
		return b
	default:
	}
	if len(h.taken) == ringBlocks {
		return <-h.free
	}
	b, _ := blockPool.Get().(*block)
	h.taken = append(h.taken, b)
	return b
}

// pass hands b over to every hash.
func (h *hashing) pass(b *block) {
	b.uses.Store(int32(len(h.lanes)) + 1) //nolint:gosec // a few lanes
	for _, lane := range h.lanes {
		lane <- laneItem{block: b}
	}
	h.release(b)
}

func (h *hashing) unused(b *block) { h.free <- b }

func (h *hashing) release(b *block) {
	if b.uses.Add(-1) == 0 {
		h.free <- b
	}
}

// drain waits until every hash has processed everything that was passed.
func (h *hashing) drain() {
	var here sync.WaitGroup
	here.Add(len(h.lanes))
	for _, lane := range h.lanes {
		lane <- laneItem{here: &here}
	}
	here.Wait()
}

// state is the state after everything that was passed.
func (h *hashing) state() (models.HashState, error) {
	if h.sha == nil {
		return models.HashState{}, nil
	}
	h.drain()
	return models.SaveHashes(h.sha, h.md)
}

// close waits for the goroutines and returns the blocks.
func (h *hashing) close() {
	for _, lane := range h.lanes {
		close(lane)
	}
	h.done.Wait()
	for _, b := range h.taken {
		blockPool.Put(b)
	}
}
