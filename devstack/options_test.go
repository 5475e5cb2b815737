package main

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/dynamicconfig"
)

func TestOptions_RefuseAddressesThatOthersCanReach(t *testing.T) {
	t.Parallel()
	for _, ip := range []string{"0.0.0.0", "::", "10.1.2.3", "192.0.2.7"} {
		_, err := parseOptions([]string{"--ip", ip}, io.Discard)
		require.ErrorContains(t, err, "--allow-remote", ip)
		_, err = parseOptions([]string{"--ip", ip, "--allow-remote"}, io.Discard)
		require.NoError(t, err, ip)
	}
	for _, ip := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		_, err := parseOptions([]string{"--ip", ip}, io.Discard)
		require.NoError(t, err, ip)
	}
}

func TestOptions_RefuseWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--ip", "localhost"}, "--ip"},
		{[]string{"--port", "65536"}, "--port"},
		{[]string{"--ui-port", "-2"}, "--ui-port"},
		{[]string{"--ui-port", "7233"}, "also --port"},
		{[]string{"--db", "a?b"}, "--db"},
		{[]string{"--db", "a", "--pg", "postgres://u@h"}, "either --db or --pg"},
		{[]string{"--namespace", ""}, "--namespace"},
		{[]string{"--retention", "1m"}, "--retention"},
		{[]string{"--parent", "-1"}, "--parent"},
		{[]string{"--codec-endpoint", "codec"}, "--codec-endpoint"},
		{[]string{"--search-attribute", "Name"}, "Name=Type"},
		{[]string{"--search-attribute", "Name=Number"}, "not a type"},
		{[]string{"--dynamic-config-value", "key"}, "key=value"},
		{[]string{"--log-level", "loud"}, "log-level"},
		{[]string{"--pg", "mysql://u@h"}, "--pg"},
		{[]string{"--pg", "postgres://u@h/db"}, "--pg-db"},
		{[]string{"--pg", "postgres://u@h", "--pg-db", "a", "--pg-visibility-db", "a"}, "two names"},
		{[]string{"--pg", "postgres://u@h", "--shards", "0"}, "--shards"},
		{[]string{"start"}, "unexpected argument"},
	} {
		_, err := parseOptions(c.args, io.Discard)
		require.ErrorContains(t, err, c.want, "%v", c.args)
	}
}

func TestOptions_NeverRepeatAPassword(t *testing.T) {
	t.Parallel()
	_, err := parseOptions([]string{"--pg", "postgres://u:secret@h:port"}, io.Discard)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func TestOptions_OverrideTheTunedDynamicConfig(t *testing.T) {
	t.Parallel()
	opts, err := parseOptions([]string{
		"--dynamic-config-value", "history.hostLevelCacheMaxSize=5",
		"--dynamic-config-value", "a=true", "--dynamic-config-value", "b=1.5", "--dynamic-config-value", "c=2s",
	}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 5, opts.dynamic[dynamicconfig.HistoryCacheHostLevelMaxSize.Key()])
	require.Equal(t, 2000, opts.dynamic[dynamicconfig.TransferProcessorMaxPollRPS.Key()])
	require.Equal(t, true, opts.dynamic[dynamicconfig.MakeKey("a")])
	require.InDelta(t, 1.5, opts.dynamic[dynamicconfig.MakeKey("b")], 0)
	require.Equal(t, "2s", opts.dynamic[dynamicconfig.MakeKey("c")])
}

func TestChoosePorts_TakesFreeOnes(t *testing.T) {
	t.Parallel()
	p, err := choosePorts(options{ip: loopback, uiPort: -1})
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, port := range []int{p.frontend, p.frontendHTTP, p.ui, p.history, p.matching, p.worker} {
		require.NotZero(t, port)
		require.False(t, seen[port], "port %d twice", port)
		seen[port] = true
	}

	p, err = choosePorts(options{ip: loopback, uiPort: 0})
	require.NoError(t, err)
	require.Zero(t, p.ui)
}

func TestDialAddress_IsLoopbackForAllInterfaces(t *testing.T) {
	t.Parallel()
	require.Equal(t, "127.0.0.1:1", dialAddress("0.0.0.0", 1))
	require.Equal(t, "127.0.0.1:1", dialAddress("::", 1))
	require.Equal(t, net.JoinHostPort("::1", "1"), dialAddress("::1", 1))
}
