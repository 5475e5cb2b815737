package tus_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/models"
)

func TestTusParts_GoOnWithTheHashesOfThePartBefore(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(90_000)
	id := b.Initialize()
	first, second, third := b.Part(id, 30_000), b.Part(id, 30_000), b.Part(id, 30_000)
	b.Patch(third, 0, content[60_000:]).Is(http.StatusNoContent, "")
	b.Patch(first, 0, content[:30_000]).Is(http.StatusNoContent, "")
	b.Patch(second, 0, content[30_000:40_000]).Is(http.StatusNoContent, "")
	b.Patch(second, 10_000, content[40_000:60_000]).Is(http.StatusNoContent, "")
	_, held := b.UploadOf(id, second).HashesSoFar()
	require.True(t, held)
	_, held = b.UploadOf(id, third).HashesSoFar()
	require.False(t, held, "it came before the hashes that it needs")
	b.Join(id, first, second, third).Is(http.StatusCreated, "")
	b.Arrives(id, content)
}

func TestTusParts_InAnotherOrderTakeNoHashesOfTheOneBefore(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(60_000)
	id := b.Initialize()
	first, second := b.Part(id, 40_000), b.Part(id, 20_000)
	b.Patch(first, 0, content[20_000:]).Is(http.StatusNoContent, "")
	b.Patch(second, 0, content[:20_000]).Is(http.StatusNoContent, "")
	b.Join(id, second, first).Is(http.StatusCreated, "")
	b.Arrives(id, content)
}

// A replica of an older version leaves hashes as they were when it adds to a part.
func TestTusParts_BelieveNoHashesOfOtherBytes(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	content := apitest.Noise(90_000)
	id := b.Initialize()
	first, second, third := b.Part(id, 30_000), b.Part(id, 30_000), b.Part(id, 30_000)
	b.Patch(first, 0, content[:30_000]).Is(http.StatusNoContent, "")
	b.Patch(second, 0, content[30_000:60_000]).Is(http.StatusNoContent, "")
	one, two := b.UploadOf(id, first), b.UploadOf(id, second)
	b.Alter("UPDATE tus_uploads SET sha256_state = ?, md5_state = ? WHERE id = ?", one.SHA256State, one.MD5State, two.ID.String())
	b.Alter("DELETE FROM tus_digests")
	b.Patch(third, 0, content[60_000:]).Is(http.StatusNoContent, "")
	b.Join(id, first, second, third).Is(http.StatusCreated, "")
	b.Arrives(id, content)
}

func TestPartQueue_APartWaitsWhileHashingTakesTheTime(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	id := b.Initialize()
	transfer := apitest.MustUUID(t, id)
	b.Part(id, 10)
	second := b.UploadOf(id, b.Part(id, 10))
	waits := func(body io.Reader, work time.Duration) bool {
		first, leave := b.Server.EnterQueue(models.TusUpload{TransferID: transfer, Number: 1})
		from := first.Start(body, true)
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
		mine, goes := b.Server.EnterQueue(second)
		defer goes()
		begun := make(chan struct{})
		go func() {
			defer close(begun)
			held, err := b.Server.WaitTurn(t.Context(), second, mine)
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
	require.True(t, b.Server.QueueIsEmpty())
}

// slowly is a client that sends a byte now and then.
type slowly struct{}

func (slowly) Read(p []byte) (int, error) {
	<-time.After(5 * time.Millisecond)
	return iotest.OneByteReader(strings.NewReader("x")).Read(p)
}
