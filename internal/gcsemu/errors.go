package gcsemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// statusCancelled is what Cloud Storage answers when an upload session was cancelled as asked.
const statusCancelled = 499

// maxDrain bounds how much of a refused body is read before the answer.
const maxDrain = 64 << 20

// apiError is an answer of the API other than success.
type apiError struct {
	status  int
	reason  string
	message string
}

// Error returns the message.
func (e *apiError) Error() string { return e.message }

func invalid(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "invalid", fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &apiError{http.StatusNotFound, "notFound", fmt.Sprintf(format, args...)}
}

// handler answers requests and returns what went wrong before the answer began.
type handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP is the one place where errors become answers.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h(w, r)
	if err == nil {
		return
	}
	var e *apiError
	if !errors.As(err, &e) {
		// Unlike the service, an emulator shows its own mistakes.
		e = &apiError{http.StatusInternalServerError, "backendError", err.Error()}
	}
	if e.status == http.StatusNotModified || e.status == statusCancelled {
		w.WriteHeader(e.status)
		return
	}
	item := map[string]any{"domain": "global", "reason": e.reason, "message": e.message}
	body := map[string]any{"code": e.status, "message": e.message, "errors": []any{item}}
	_ = writeJSON(w, e.status, map[string]any{"error": body}) // an error here means that the client is gone
}

// reply answers 200 with v.
func reply(w http.ResponseWriter, v any) error { return writeJSON(w, http.StatusOK, v) }

func writeJSON(w http.ResponseWriter, status int, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	// A client that left does not read the answer; the request is done all the same.
	_, _ = w.Write(raw)
	return nil
}

// maxJSON bounds a JSON body. Only content can be large, and content is never kept in memory.
const maxJSON = 1 << 20

// readJSON decodes a body into v. An empty body leaves v as it is.
func readJSON(body io.Reader, v any) error {
	err := json.NewDecoder(io.LimitReader(body, maxJSON)).Decode(v)
	if err != nil && !errors.Is(err, io.EOF) {
		return invalid("decode body: %v", err)
	}
	return nil
}

func drain(body io.Reader) {
	if body == nil {
		return
	}
	_, _ = io.CopyN(io.Discard, body, maxDrain) // an error means that the client is gone
}
