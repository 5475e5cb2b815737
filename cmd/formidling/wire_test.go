package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNearby_IsThisMachineAndNoOther(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"localhost:7233", "127.0.0.1:7233", "127.1.2.3:1", "[::1]:7233"} {
		require.True(t, nearby(address), address)
	}
	for _, address := range []string{"", "localhost", "temporal:7233", "10.0.0.1:7233", "localhost.example.no:7233", "dns:///localhost:7233", "0.0.0.0:7233"} {
		require.False(t, nearby(address), address)
	}
}
