package tus

import (
	"context"
	"io"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// HashAhead hashes the parts of a transfer, as a request that brings bytes has it done.
func (t *Handler) HashAhead(ctx context.Context, transfer uuid.UUID) { t.hashAhead(ctx, transfer) }

// HoldHashing takes all that this process has for hashing parts, until release is called.
func (t *Handler) HoldHashing() (release func(), held bool) {
	return func() { t.hashing.Release(hashAtOnce) }, t.hashing.TryAcquire(hashAtOnce)
}

// HoldAssembling takes all that this process has for making objects, until release is called.
func (t *Handler) HoldAssembling() (release func(), held bool) {
	return func() { t.assembling.Release(assembleAtOnce) }, t.assembling.TryAcquire(assembleAtOnce)
}

// QueuedPart is a part that is received or waits for that.
type QueuedPart = queuedPart

// EnterQueue adds a part to those that this process receives.
func (t *Handler) EnterQueue(u models.TusUpload) (mine *QueuedPart, leave func()) {
	return t.queue.enter(u)
}

// WaitTurn waits until a part may begin.
func (t *Handler) WaitTurn(ctx context.Context, u models.TusUpload, mine *QueuedPart) (held bool, err error) {
	_, held, err = t.waitTurn(ctx, u, mine)
	return held, err
}

// QueueIsEmpty tells whether no part is received.
func (t *Handler) QueueIsEmpty() bool { return len(t.queue.by) == 0 }

// Start has a part received from body from here on.
func (q *queuedPart) Start(body io.Reader, hashes bool) io.Reader { return q.start(body, hashes) }
