package models

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFacts_DecideTheStatusOfWhatIsStoredAsInitialized(t *testing.T) {
	t.Parallel()
	at := func(n int) *time.Time { v := time.Unix(int64(n), 0); return &v }
	since := *at(1)
	for name, c := range map[string]struct {
		facts Facts
		want  TransferStatus
		when  *time.Time
	}{
		"nothing":               {Facts{}, TransferInitialized, at(1)},
		"begun":                 {Facts{UploadStarted: at(2)}, TransferUploadStarted, at(2)},
		"received":              {Facts{UploadStarted: at(2), Received: at(3)}, TransferUploadProcessing, at(3)},
		"staged":                {Facts{UploadStarted: at(2), Staged: at(4)}, TransferUploadProcessing, at(4)},
		"staged after received": {Facts{UploadStarted: at(2), Received: at(3), Staged: at(4)}, TransferUploadProcessing, at(4)},
	} {
		got, when := c.facts.Effective(TransferInitialized, since)
		require.Equal(t, c.want, got, name)
		require.Equal(t, *c.when, when, name)
		for _, stored := range allStatuses[1:] {
			got, when := c.facts.Effective(stored, since)
			require.Equal(t, stored, got, "%s: facts say nothing of what is %s", name, stored)
			require.Equal(t, since, when)
		}
	}
}
