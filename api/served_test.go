package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func TestTransport_WhatIsServedIsToldToTheSender(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		id := b.publish(content)
		served := func(viewer, of models.Party) (int64, bool) {
			var d contract.FileTransferDetails
			b.call(viewer, "GET", "/filetransfer/"+id+"/details", "").is(http.StatusOK, "").json(&d)
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
			b.call(bob, "GET", "/filetransfer/"+id+"/download", "", "Range", step.ranges).is(http.StatusPartialContent, "")
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
	b := setup(t)
	b.policy(`{"recipientsSeeEachOther":true}`)
	id := b.publish(content)
	var d contract.FileTransferDetails
	b.call(carol, "GET", "/filetransfer/"+id+"/details", "").is(http.StatusOK, "").json(&d)
	require.Len(t, d.Recipients, 2)
	for _, r := range d.Recipients {
		require.Equal(t, r.Recipient == string(carol), r.BytesServed != nil, r.Recipient)
	}
	require.Nil(t, b.overview(alice, id).Recipients[0].BytesServed, "only the details tell")
}

func TestServed_AnEmptyFileIsCompleteOnceItWasServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.publish("")
	complete := func() bool {
		var d contract.FileTransferDetails
		b.call(alice, "GET", "/filetransfer/"+id+"/details", "").is(http.StatusOK, "").json(&d)
		return *d.Recipients[0].DownloadComplete
	}
	require.False(t, complete())
	b.call(bob, "GET", "/filetransfer/"+id+"/download", "").is(http.StatusOK, "")
	require.Eventually(t, complete, time.Minute, 5*time.Millisecond)
}

// What is recorded while a download runs is what remains known of it when its process dies.
func TestServed_IsRecordedWhileADownloadRuns(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *Server) { s.RecheckRight = 10 * time.Millisecond })
	id := b.publish(strings.Repeat("x", 64<<20))
	response := b.unread(id)
	defer func() { require.NoError(t, response.Body.Close()) }()
	require.Eventually(t, func() bool {
		var d contract.FileTransferDetails
		b.call(alice, "GET", "/filetransfer/"+id+"/details", "").is(http.StatusOK, "").json(&d)
		n := *d.Recipients[0].BytesServed
		return n >= downloadWindow && n < 64<<20
	}, time.Minute, 10*time.Millisecond)
	require.False(t, b.ended(id, bob), "it still runs")
}
