package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKeep_StartsAgainAfterASuccessAndAfterAFailureUntilItEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	started, done := make(chan int), make(chan struct{})
	go func() {
		defer close(done)
		n := 0
		keep(ctx, time.Millisecond, time.Millisecond, func(ctx context.Context) error {
			n++
			select {
			case started <- n:
			case <-ctx.Done():
			}
			if n%2 == 1 {
				return errors.New("not now")
			}
			return nil
		})
	}()
	for n := 1; n <= 5; n++ {
		require.Equal(t, n, <-started)
	}
	cancel()
	<-done
}
