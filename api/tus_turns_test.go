package api

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// uploadOf is a part as the store has it.
func (b *bundle) uploadOf(id, part string) models.TusUpload {
	b.t.Helper()
	p := mustUUID(b.t, part[strings.LastIndex(part, "/")+1:])
	u, err := b.store.TusOf(b.t.Context(), mustUUID(b.t, id), &p)
	require.NoError(b.t, err)
	return u
}

func TestTusParts_GoOnWithTheHashesOfThePartBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(90_000)
	id := b.initialize()
	first, second, third := b.part(id, 30_000), b.part(id, 30_000), b.part(id, 30_000)
	b.patch(third, 0, content[60_000:]).is(http.StatusNoContent, "")
	b.patch(first, 0, content[:30_000]).is(http.StatusNoContent, "")
	b.patch(second, 0, content[30_000:40_000]).is(http.StatusNoContent, "")
	b.patch(second, 10_000, content[40_000:60_000]).is(http.StatusNoContent, "")
	_, held := b.uploadOf(id, second).HashesSoFar()
	require.True(t, held)
	_, held = b.uploadOf(id, third).HashesSoFar()
	require.False(t, held, "it came before the hashes that it needs")
	b.join(id, first, second, third).is(http.StatusCreated, "")
	b.arrives(id, content)
}

func TestTusParts_InAnotherOrderTakeNoHashesOfTheOneBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(60_000)
	id := b.initialize()
	first, second := b.part(id, 40_000), b.part(id, 20_000)
	b.patch(first, 0, content[20_000:]).is(http.StatusNoContent, "")
	b.patch(second, 0, content[:20_000]).is(http.StatusNoContent, "")
	b.join(id, second, first).is(http.StatusCreated, "")
	b.arrives(id, content)
}

// A replica of an older version leaves hashes as they were when it adds to a part.
func TestTusParts_BelieveNoHashesOfOtherBytes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := noise(90_000)
	id := b.initialize()
	first, second, third := b.part(id, 30_000), b.part(id, 30_000), b.part(id, 30_000)
	b.patch(first, 0, content[:30_000]).is(http.StatusNoContent, "")
	b.patch(second, 0, content[30_000:60_000]).is(http.StatusNoContent, "")
	one, two := b.uploadOf(id, first), b.uploadOf(id, second)
	b.alter("UPDATE tus_uploads SET sha256_state = ?, md5_state = ? WHERE id = ?", one.SHA256State, one.MD5State, two.ID.String())
	b.alter("DELETE FROM tus_digests")
	b.patch(third, 0, content[60_000:]).is(http.StatusNoContent, "")
	b.join(id, first, second, third).is(http.StatusCreated, "")
	b.arrives(id, content)
}

func TestTurns_APartWaitsWhileHashingTakesTheTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.initialize()
	transfer := mustUUID(t, id)
	b.part(id, 10)
	second := b.uploadOf(id, b.part(id, 10))
	waits := func(body io.Reader, work time.Duration) bool {
		first, leave := b.server.tusTurns.enter(models.TusUpload{TransferID: transfer, Number: 1})
		from := first.start(body, true)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				_, _ = from.Read(make([]byte, 1))
				select {
				case <-time.After(work):
				case <-stop:
					return
				}
			}
		}()
		mine, goes := b.server.tusTurns.enter(second)
		defer goes()
		begun := make(chan struct{})
		go func() {
			defer close(begun)
			_, held, err := b.server.inTurn(t.Context(), second, mine)
			assert.NoError(t, err)
			assert.False(t, held)
		}()
		waited := false
		select {
		case <-begun:
		case <-time.After(2 * time.Second):
			waited = true
		}
		close(stop)
		<-stopped
		leave()
		<-begun
		return waited
	}
	require.True(t, waits(strings.NewReader(strings.Repeat("x", 1<<20)), 5*time.Millisecond), "the bytes are there, and it is busy with them")
	require.False(t, waits(slowly{}, 0), "it waits for its client")
	require.Empty(t, b.server.tusTurns.by)
}

// slowly is a client that sends a byte now and then.
type slowly struct{}

func (slowly) Read(p []byte) (int, error) {
	<-time.After(5 * time.Millisecond)
	return iotest.OneByteReader(strings.NewReader("x")).Read(p)
}
