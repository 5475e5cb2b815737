package tus_test

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
)

// However a stream breaks, the offset that is told then is one from which the same bytes go on.
func TestTusAppend_GoesOnAfterTheStreamBroke(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, _ apitest.Wire) {
		content := apitest.Noise(3_000_000)
		id, path := b.Open(len(content))
		at := 0
		for range 4 {
			body, answer, cancel := b.Patching(path, at)
			_, _ = body.Write(content[at : at+600_001])
			cancel()
			require.NoError(t, body.CloseWithError(errors.New("gone")))
			if a, answered := <-answer; answered { // the one before has moved the offset after it was told
				a.Is(http.StatusConflict, "FMD-00060")
			}
			told, err := strconv.Atoi(b.Offset(path))
			require.NoError(t, err)
			require.GreaterOrEqual(t, told, at)
			require.LessOrEqual(t, told, at+600_001)
			at = told
		}
		require.Eventually(t, func() bool { // a broken request that had not begun to write when the offset was told may have moved it
			at, err := strconv.Atoi(b.Offset(path))
			require.NoError(t, err)
			return b.Patch(path, at, content[at:]).StatusCode == http.StatusNoContent
		}, apitest.WaitABit, apitest.Tick)
		b.Arrives(id, content)
	})
}

// Whoever ends an upload ends the request that writes to it at once, and a connection that carries others goes on.
func TestTusAppend_ThatIsGivenUpEndsOverAnyTransport(t *testing.T) {
	apitest.OnWires(t, func(t *testing.T, b *apitest.Bundle, w apitest.Wire) {
		id, path := b.Open(1000)
		body, answer, _ := b.Patching(path, 0)
		_, err := body.Write([]byte("some"))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(b.Stored()) == 1 }, apitest.WaitABit, apitest.Tick, "it writes")
		b.TusCall(alice, "DELETE", path, nil).Is(http.StatusNoContent, "")
		select {
		case a := <-answer:
			a.Is(http.StatusGone, "FMD-00063")
		case <-time.After(apitest.WaitABit):
			require.Fail(t, "it was not ended")
		}
		require.NoError(t, body.Close())
		path = b.OpenFor(id, 3)
		b.TusCall(alice, "PATCH", path, bytes.NewReader([]byte("all")), "Upload-Offset", "0").Is(http.StatusNoContent, "")
		b.Arrives(id, []byte("all"))
	})
}
