package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api"
	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func TestTransport_WhatIsServedIsToldToTheSender(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, _ apitest.Wire) {
		id := b.Publish(content)
		served := func(viewer, of models.Party) (int64, bool) {
			var d contract.FileTransferDetails
			b.Call(viewer, "GET", "/filetransfer/"+id+"/details", "").Is(http.StatusOK, "").JSON(&d)
			for _, r := range d.Recipients {
				if r.Recipient == string(of) {
					return *r.BytesServed, *r.DownloadComplete
				}
			}
			t.Fatal("no such recipient")
			return 0, false
		}
		for _, step := range []struct {
			ranges   string
			bytes    int64
			complete bool
		}{{"bytes=0-3", 4, false}, {"bytes=2-5", 6, false}, {"bytes=9-9", 7, false}, {"bytes=6-8", 10, true}, {"bytes=0-0", 10, true}} {
			b.Call(bob, "GET", "/filetransfer/"+id+"/download", "", "Range", step.ranges).Is(http.StatusPartialContent, "")
			require.Eventually(t, func() bool { // the answer is out before its end is recorded
				n, whole := served(alice, bob)
				return n == step.bytes && whole == step.complete
			}, time.Minute, 5*time.Millisecond, step.ranges)
		}
		n, whole := served(bob, bob)
		require.Equal(t, int64(10), n)
		require.True(t, whole)
		n, whole = served(alice, carol)
		require.Zero(t, n)
		require.False(t, whole)
	})
}

func TestServed_IsNoneOfTheOtherRecipientsBusiness(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Policy(`{"recipientsSeeEachOther":true}`)
	id := b.Publish(content)
	var d contract.FileTransferDetails
	b.Call(carol, "GET", "/filetransfer/"+id+"/details", "").Is(http.StatusOK, "").JSON(&d)
	require.Len(t, d.Recipients, 2)
	for _, r := range d.Recipients {
		require.Equal(t, r.Recipient == string(carol), r.BytesServed != nil, r.Recipient)
	}
	require.Nil(t, b.Overview(alice, id).Recipients[0].BytesServed, "only the details tell")
}

func TestServed_AnEmptyFileIsCompleteOnceItWasServed(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Publish("")
	complete := func() bool {
		var d contract.FileTransferDetails
		b.Call(alice, "GET", "/filetransfer/"+id+"/details", "").Is(http.StatusOK, "").JSON(&d)
		return *d.Recipients[0].DownloadComplete
	}
	require.False(t, complete())
	b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Is(http.StatusOK, "")
	require.Eventually(t, complete, time.Minute, 5*time.Millisecond)
}

// What is recorded while a download runs is what remains known of it when its process dies.
func TestServed_IsRecordedWhileADownloadRuns(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t, func(s *apitest.Config) { s.RecheckRight = 10 * time.Millisecond })
	id := b.Publish(strings.Repeat("x", 64<<20))
	response := b.Unread(id)
	defer func() { require.NoError(t, response.Body.Close()) }()
	require.Eventually(t, func() bool {
		var d contract.FileTransferDetails
		b.Call(alice, "GET", "/filetransfer/"+id+"/details", "").Is(http.StatusOK, "").JSON(&d)
		n := *d.Recipients[0].BytesServed
		return n >= api.DownloadWindow && n < 64<<20
	}, time.Minute, 10*time.Millisecond)
	require.False(t, b.Ended(id, bob), "it still runs")
}
