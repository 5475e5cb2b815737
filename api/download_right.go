package api

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// recheckRight is how often the right to a running download is looked at again, and so about how long one goes
// on after the right was taken away.
const recheckRight = 10 * time.Second

func receiving(c *gin.Context, v models.TransferView) models.Question {
	return models.Question{Action: models.ActionReceive, From: v.Sender, To: []models.Party{web.Caller(c)}, By: web.Actor(c)}
}

// standing is the right to a running download, and how far it is.
type standing struct {
	cause atomic.Pointer[models.Error]
	sent  atomic.Int64 // bytes
}

// lost is why the download must end; nil as long as it need not.
func (s *standing) lost() error {
	if e := s.cause.Load(); e != nil {
		return e
	}
	return nil
}

// watchRight ends a running download whose recipient loses the right to it, a stalled one too. It also records how
// far the download is, so that this is known if the process dies.
func (s *Server) watchRight(c *gin.Context, v models.TransferView, access uuid.UUID) (right *standing, stop func()) {
	right = &standing{}
	ctx, cancel := context.WithCancel(c.Request.Context())
	question, connect := receiving(c, v), http.NewResponseController(c.Writer)
	every := s.RecheckRight
	if every <= 0 {
		every = recheckRight
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			e, refused := models.AsError(s.Rights.CheckRight(ctx, v.ResourceID, question))
			if refused && !e.Retryable() { // a database that is down for a moment ends nothing
				right.cause.Store(e)
				_ = connect.SetWriteDeadline(time.Unix(1, 0)) // a write that waits ends now
				return
			}
			// what could not be noted is, with more, in ten seconds; also a client that reads nothing is there
			_ = s.Downloads.NoteAccess(ctx, access, right.sent.Load())
		}
	}()
	return right, func() { cancel(); <-done }
}
