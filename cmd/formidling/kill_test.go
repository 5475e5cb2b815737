package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
)

// slowly gives a body byte by byte until it may finish.
type slowly struct {
	head   string
	sent   bool
	finish chan struct{}
}

func (s *slowly) Read(p []byte) (int, error) {
	if !s.sent {
		s.sent = true
		return copy(p, s.head), nil
	}
	<-s.finish
	return 0, io.EOF
}

func TestKilledAPI_InTheMiddleOfAnUploadLosesNothing(t *testing.T) {
	t.Parallel()
	i := install(t)
	id := i.initialize()
	body := &slowly{head: strings.Repeat("x", 1<<20), finish: make(chan struct{})}
	broken := make(chan error, 1)
	go func() {
		_, _, err := i.try(testSender, "POST", "/filetransfer/"+id+"/upload", body, "Content-Type", octets)
		broken <- err
	}()
	i.becomes(id, "UploadStarted")
	i.api.Kill()
	close(body.finish)
	require.Error(t, <-broken)
	i.startAPI()
	require.Equal(t, "UploadStarted", i.status(id))
	status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("whole"), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))
	i.deliver(id, "whole")
}

func TestKilledWorker_AtAnyStepTheTransferGoesOn(t *testing.T) {
	t.Parallel()
	i := install(t)
	for _, step := range []string{"before initialize", "before upload", "before confirm", "before purge"} {
		t.Run(step, func(t *testing.T) {
			var id string
			die := func(at string) {
				if at == step {
					i.worker.Kill()
					time.AfterFunc(500*time.Millisecond, i.startWorker) // while the request waits
				}
			}
			die("before initialize")
			id = i.initialize()
			die("before upload")
			status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("content"), "Content-Type", octets)
			require.Equal(t, http.StatusOK, status, string(raw))
			i.becomes(id, "Published")
			die("before confirm")
			for _, r := range testRecipients {
				_, _ = i.ask(r, "GET", "/filetransfer/"+id+"/download", nil)
				require.Eventually(t, func() bool {
					status, _ := i.ask(r, "POST", "/filetransfer/"+id+"/confirmdownload", nil)
					return status == http.StatusNoContent
				}, 40*time.Second, 100*time.Millisecond)
			}
			die("before purge")
			i.becomes(id, "Purged")
			require.Zero(t, i.objects())
		})
	}
}

func TestKilledEverything_WhatWasAcknowledgedIsStillThere(t *testing.T) {
	t.Parallel()
	i := install(t)
	id := i.initialize()
	status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("content"), "Content-Type", octets)
	require.Equal(t, http.StatusOK, status, string(raw))
	for _, kill := range []func(){i.api.Kill, i.worker.Kill, i.temporal.Kill, i.storage.Kill, i.postgres.Kill} {
		kill()
	}
	require.NoError(t, i.postgres.Start())
	i.startStorage()
	i.startTemporal()
	i.startWorker()
	i.startAPI()
	testenv.Answers(t, i.url+"/readyz")
	require.Equal(t, "Published", i.status(id))
	i.deliver(id, "content")
	i.becomes(id, "Purged")
}

func TestTerminatedAPI_FinishesTheRequestsUnderWay(t *testing.T) {
	t.Parallel()
	i := install(t)
	id := i.initialize()
	body := &slowly{head: "content", finish: make(chan struct{})}
	type result struct {
		status int
		err    error
	}
	done := make(chan result, 1)
	go func() {
		status, _, err := i.try(testSender, "POST", "/filetransfer/"+id+"/upload", body, "Content-Type", octets)
		done <- result{status, err}
	}()
	i.becomes(id, "UploadStarted")
	i.api.Terminate()
	require.Eventually(t, func() bool { // no new connection is taken any more
		_, err := http.Get(i.url + "/livez")
		return err != nil
	}, 10*time.Second, 20*time.Millisecond)
	close(body.finish)
	got := <-done
	require.NoError(t, got.err)
	require.Equal(t, http.StatusOK, got.status)
	require.Zero(t, i.api.Wait())
	i.worker.Terminate()
	require.Zero(t, i.worker.Wait())
	i.startAPI()
	require.Equal(t, "Published", i.status(id))
}
