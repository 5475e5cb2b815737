package devtemporal

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStart_SaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), t.TempDir(), Ports{}) // beside a test binary there is no devstack
	require.ErrorContains(t, err, "make build")
	require.ErrorContains(t, err, "TEMPORAL_ADDRESS")
}

func TestAwaitPort_ReturnsWhenItsPortIsFreeOrItsCallerGaveUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at, ok := l.Addr().(*net.TCPAddr)
	require.True(t, ok)
	ctx, giveUp := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { awaitPort(ctx, at.Port); close(done) }()
	select {
	case <-done:
		require.Fail(t, "the port is taken")
	default:
	}
	giveUp()
	<-done

	require.NoError(t, l.Close())
	awaitPort(t.Context(), at.Port)
	synctest.Test(t, func(t *testing.T) { // a port that the system chooses is not waited for
		began := time.Now()
		awaitPort(t.Context(), 0)
		require.Zero(t, time.Since(began))
	})
}
