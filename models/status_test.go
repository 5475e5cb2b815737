package models

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write rendered documents")

// TestStates_AreRendered keeps docs/states.md equal to the tables of moves.
func TestStates_AreRendered(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	out.WriteString("# States\n\nRendered from `models/status.go` by `make generate`; do not edit.\n")
	out.WriteString("A transition by *fact* is what readers conclude from the data plane (an upload attempt, staged bytes, a download);\n")
	out.WriteString("a transition by *workflow* is written by the transfer's own workflow, and by nobody else.\n\n## Transfer\n\n```mermaid\nstateDiagram-v2\n    [*] --> Initialized\n")
	for _, m := range TransferTransitions {
		fmt.Fprintf(&out, "    %s --> %s: %s\n", m.From, m.To, m.When)
	}
	for n := range transferStatusNames {
		if s := TransferStatus(n); s.Ended() {
			fmt.Fprintf(&out, "    %s --> [*]\n", s)
		}
	}
	out.WriteString("```\n\n| n | status | text |\n|---|---|---|\n")
	for n := range transferStatusNames {
		fmt.Fprintf(&out, "| %d | %s | %s |\n", n, TransferStatus(n), TransferStatus(n).Text())
	}
	out.WriteString("\n| from | to | by | when |\n|---|---|---|---|\n")
	for _, m := range TransferTransitions {
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", m.From, m.To, m.By, m.When)
	}
	out.WriteString("\n## Recipient\n\n| from | to | by | when |\n|---|---|---|---|\n")
	for _, m := range RecipientTransitions {
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", m.From, m.To, m.By, m.When)
	}
	const file = "../docs/states.md"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(out.String()), 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, out.String(), string(got), "run `make generate`")
}

func TestTransferMoves_LeadEverywhereAndEnd(t *testing.T) {
	t.Parallel()
	reached := map[TransferStatus]bool{TransferInitialized: true}
	for range TransferTransitions {
		for _, m := range TransferTransitions {
			if reached[m.From] {
				reached[m.To] = true
			}
		}
	}
	for n := range transferStatusNames {
		require.True(t, reached[TransferStatus(n)], TransferStatus(n))
	}
	for _, ended := range []TransferStatus{TransferCancelled, TransferPurged, TransferFailed} {
		require.True(t, ended.Ended())
		require.False(t, ended.Downloadable())
		require.False(t, ended.AwaitsContent())
	}
	require.False(t, MayTransition(TransferPurged, TransferPublished))
	require.False(t, MayTransition(TransferAllConfirmedDownloaded, TransferCancelled))
}

func TestStatusNames_AreReadInAnyCase(t *testing.T) {
	t.Parallel()
	s, err := ParseTransferStatus("allconfirmeddownloaded")
	require.NoError(t, err)
	require.Equal(t, TransferAllConfirmedDownloaded, s)
	r, err := ParseRecipientStatus("DOWNLOADSTARTED")
	require.NoError(t, err)
	require.Equal(t, RecipientDownloadStarted, r)
	_, err = ParseTransferStatus("3")
	require.Error(t, err)
	require.Equal(t, "unknown status 9", TransferStatus(9).String())
}
