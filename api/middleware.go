package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/api/web"
)

// traceparent is W3C Trace Context; its second field is the trace id.
var traceparent = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}`)

// observe writes one line for each request: no body, no token, no file name, no query.
func (s *Server) observe(c *gin.Context) {
	trace := ""
	if m := traceparent.FindStringSubmatch(c.GetHeader("Traceparent")); m != nil {
		trace = m[1]
	} else {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails, see crypto/rand
		trace = hex.EncodeToString(id[:])
	}
	web.SetTraceID(c, trace)
	began := time.Now()
	defer func() { s.logRequest(c, trace, time.Since(began)) }() // a download that broke off ends in a panic
	c.Next()
}

func (s *Server) logRequest(c *gin.Context, trace string, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("method", c.Request.Method), slog.String("route", c.FullPath()), slog.Int("status", c.Writer.Status()),
		slog.Duration("took", took), slog.String("trace", trace),
	}
	if id, err := uuid.Parse(c.Param("fileTransferId")); err == nil { // what is none may be anything, up to 64 KiB
		attrs = append(attrs, slog.String("transfer", id.String()))
	}
	if party, known := web.CallerIfKnown(c); known {
		attrs = append(attrs, slog.String("caller", string(party)))
	}
	level := slog.LevelInfo
	if f, failed := web.Failure(c); failed {
		attrs = append(attrs, slog.Any("failure", f))
		if c.Writer.Status() >= http.StatusInternalServerError {
			level = slog.LevelError
		}
	}
	s.Log.LogAttrs(context.WithoutCancel(c.Request.Context()), level, "request answered", attrs...)
}

// headers sets what every response carries (docs/reference/altinn-broker.md 1.1).
func headers(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}

// recover answers a panic with a problem document; one in the middle of a body must end the connection.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(http.ErrAbortHandler)
		}
		written := c.Writer.Written()
		web.Problem(c, fmt.Errorf("handler panicked: %v", cause))
		if written {
			panic(http.ErrAbortHandler)
		}
	}()
	c.Next()
}

// authenticate lets a request pass whose credential names an organisation and carries a scope of its operation.
func (s *Server) authenticate(c *gin.Context) {
	rule := web.RuleOf(c)
	if rule.Public || c.FullPath() == "" {
		return
	}
	caller, err := s.Authenticator.Authenticate(c.Request)
	if err != nil && rule.LateToken {
		caller, err = s.Late(c, err)
	}
	if err != nil {
		web.Problem(c, err)
		return
	}
	web.SetActor(c, caller)
	if err := web.Authorize(rule, caller); err != nil {
		web.Problem(c, err)
		return
	}
	if err := s.Rights.CheckCaller(c.Request.Context(), caller); err != nil {
		web.Problem(c, err)
	}
}

// acceptable refuses an Accept header that leaves out JSON, where JSON is all there is (docs/reference/altinn-broker.md 1.1).
func acceptable(c *gin.Context) {
	accept, rule := c.GetHeader("Accept"), web.RuleOf(c)
	if accept == "" || rule.Operation == "" || rule.Public || rule.AnyAccept {
		return
	}
	for entry := range strings.SplitSeq(accept, ",") {
		kind, _, err := mime.ParseMediaType(strings.TrimSpace(entry))
		if err != nil {
			kind, _, _ = strings.Cut(strings.TrimSpace(entry), ";")
		}
		switch kind {
		case "application/json", "application/*", "*/*":
			return
		}
	}
	c.Abort()
	c.String(http.StatusNotAcceptable, "This endpoint does not support the requested Accept header. Supported Accept headers are: application/json")
}
