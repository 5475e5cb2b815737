package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/formidling/formidling/client"
)

// Exit codes of the client commands. They are promised in docs/cli.md: never change one.
const (
	exitOther        = 1   // of all other commands too
	exitUsage        = 2   // the command line or a setting is wrong; nothing was sent
	exitUnauthorized = 3   // one side did not prove who it is, or the right is missing
	exitUnproven     = 3   // of receipt verify: consistent, and no key that the reader brought
	exitNotFound     = 4   // no such transfer, or one in which the caller takes no part
	exitRefused      = 5   // the broker refused the request: a field, a limit, a state
	exitUnavailable  = 6   // the broker was not reached, or could not answer, for as long as --retry-for
	exitChecksum     = 7   // the bytes are not those that were declared; no file was kept
	exitEnded        = 8   // the transfer failed, was cancelled or is deleted
	exitInterrupted  = 130 // by a signal; the same command goes on
)

// exitMeanings says them in words, in the order of the codes.
var exitMeanings = []struct {
	code    int
	meaning string
}{
	{0, "done"},
	{exitOther, "something else, such as a disk that is full or a file that cannot be read"},
	{exitUsage, "the command line or a setting is wrong; nothing was sent"},
	{exitUnauthorized, "you or the broker did not prove who you are, or you lack the right"},
	{exitNotFound, "there is no such transfer, or you take no part in it"},
	{exitRefused, "the broker refused the request: a field, a limit, or a state that does not allow it"},
	{exitUnavailable, "the broker was not reached, or could not answer, for as long as `--retry-for`"},
	{exitChecksum, "the bytes are not those that were declared; no file was kept"},
	{exitEnded, "the transfer failed, was cancelled, or its file is deleted"},
	{exitInterrupted, "interrupted by a signal; the same command goes on where it stopped"},
}

// usageError is a mistake in how a command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// ExitCode is how a process ends for an error.
func ExitCode(err error) int {
	var failed *commandError
	var usage usageError
	asked := errors.As(err, &failed) // by a command of this package that promises more than 1
	switch {
	case asked && failed.interrupted && errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errUnproven):
		return exitUnproven
	case !asked:
		return exitOther
	}
	for _, kind := range exitKinds {
		if errors.Is(err, kind.of) {
			return kind.code
		}
	}
	return exitOther
}

// exitKinds are the kinds of failure that have a code; an error may be of several, and the first one counts.
var exitKinds = []struct {
	of   error
	code int
}{
	{client.ErrChecksum, exitChecksum},
	{client.ErrEnded, exitEnded},
	{client.ErrUnauthorized, exitUnauthorized},
	{client.ErrNotFound, exitNotFound},
	{client.ErrRefused, exitRefused},
	{client.ErrUnavailable, exitUnavailable},
}

// commandError is an error of a client command, and how to say it.
type commandError struct {
	err               error
	json, interrupted bool
}

// Error implements error.
func (f *commandError) Error() string { return f.err.Error() }

// Unwrap returns the cause.
func (f *commandError) Unwrap() error { return f.err }

// Complain says what went wrong: to a person in a line, to a program that asked for JSON as a document.
func Complain(w io.Writer, err error) {
	var failed *commandError
	if !errors.As(err, &failed) || !failed.json {
		fmt.Fprintln(w, "formidling:", err)
		return
	}
	said := struct {
		Error    string              `json:"error"`
		ExitCode int                 `json:"exitCode"`
		Status   int                 `json:"status,omitempty"`
		Code     string              `json:"code,omitempty"`
		TraceID  string              `json:"traceId,omitempty"`
		Errors   map[string][]string `json:"errors,omitempty"`
	}{Error: err.Error(), ExitCode: ExitCode(err)}
	var refused *client.Error
	if errors.As(err, &refused) {
		said.Status, said.Code, said.TraceID, said.Errors = refused.Status, refused.Code, refused.TraceID, refused.Fields
	}
	_ = json.NewEncoder(w).Encode(said) // there is nobody else to tell
}
