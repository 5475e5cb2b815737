package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patching is a request to add to an upload whose body is given bit by bit; cancel breaks it.
func (b *bundle) patching(path string, offset int) (body *io.PipeWriter, answer chan reply, cancel func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	b.t.Cleanup(cancel)
	from, to := io.Pipe()
	r := b.request(alice, "PATCH", strings.TrimPrefix(path, base), from,
		"Tus-Resumable", "1.0.0", "Content-Type", tusMediaType, "Upload-Offset", fmt.Sprint(offset)).WithContext(ctx)
	answer = make(chan reply, 1)
	go func() {
		response, err := b.client.Do(r)
		if err != nil {
			close(answer)
			return
		}
		raw, _ := io.ReadAll(response.Body) // what is missing is seen
		_ = response.Body.Close()
		answer <- reply{Response: response, body: raw, t: b.t}
	}()
	return to, answer, cancel
}

// However a stream breaks, the offset that is told then is one from which the same bytes go on.
func TestTusAppend_GoesOnAfterTheStreamBroke(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, _ wire) {
		content := noise(3_000_000)
		id, path := b.open(len(content))
		at := 0
		for range 4 {
			body, answer, cancel := b.patching(path, at)
			_, _ = body.Write(content[at : at+600_001])
			cancel()
			require.NoError(t, body.CloseWithError(errors.New("gone")))
			if a, answered := <-answer; answered { // the one before has moved the offset after it was told
				a.is(http.StatusConflict, "FMD-00060")
			}
			told, err := strconv.Atoi(b.offset(path))
			require.NoError(t, err)
			require.GreaterOrEqual(t, told, at)
			require.LessOrEqual(t, told, at+600_001)
			at = told
		}
		require.Eventually(t, func() bool { // a broken request that had not begun to write when the offset was told may have moved it
			at, err := strconv.Atoi(b.offset(path))
			require.NoError(t, err)
			return b.patch(path, at, content[at:]).StatusCode == http.StatusNoContent
		}, waitABit, tick)
		b.arrives(id, content)
	})
}

// Whoever ends an upload ends the request that writes to it at once, and a connection that carries others goes on.
func TestTusAppend_ThatIsGivenUpEndsOverAnyTransport(t *testing.T) {
	onWires(t, func(t *testing.T, b *bundle, w wire) {
		id, path := b.open(1000)
		body, answer, _ := b.patching(path, 0)
		_, err := body.Write([]byte("some"))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(b.stored()) == 1 }, waitABit, tick, "it writes")
		b.tusCall(alice, "DELETE", path, nil).is(http.StatusNoContent, "")
		select {
		case a := <-answer:
			a.is(http.StatusGone, "FMD-00063")
		case <-time.After(waitABit):
			require.Fail(t, "it was not ended")
		}
		require.NoError(t, body.Close())
		path = b.openFor(id, 3)
		b.tusCall(alice, "PATCH", path, bytes.NewReader([]byte("all")), "Upload-Offset", "0").is(http.StatusNoContent, "")
		b.arrives(id, []byte("all"))
	})
}
