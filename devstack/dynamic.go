package main

import (
	"errors"
	"strconv"
	"strings"

	"go.temporal.io/server/common/dynamicconfig"
)

// dynamicValues is the server's dynamic configuration. As a flag it collects repeated
// key=value settings.
type dynamicValues dynamicconfig.StaticClient

// tunedDynamicConfig fits a server that is alone on its machine. The defaults are for clusters
// where many histories share one database, and make a lone server slow for no gain.
func tunedDynamicConfig() dynamicValues {
	return dynamicValues{
		// The queues are polled as soon as there is work. With the default of 20 a second every
		// workflow task waits some 48 ms.
		dynamicconfig.TransferProcessorMaxPollRPS.Key():   2000,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():      2000,
		dynamicconfig.VisibilityProcessorMaxPollRPS.Key(): 2000,
		// One partition: with the default of four and few pollers, a partition without a poller
		// makes a tail of seconds.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		dynamicconfig.MatchingEnableFairness.Key():              true,

		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 8096,
		// The server asks its maker for newer versions once a day; this one stays silent.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
	}
}

// String is empty so that help shows no default; it implements flag.Value.
func (d dynamicValues) String() string { return "" }

// Set adds or overrides one key=value; it implements flag.Value.
func (d dynamicValues) Set(setting string) error {
	key, value, ok := strings.Cut(setting, "=")
	if !ok || key == "" {
		return errors.New("want key=value")
	}
	d[dynamicconfig.MakeKey(key)] = parseDynamicValue(value)
	return nil
}

// parseDynamicValue gives a value the type that the server expects of it. Durations stay text,
// the server reads those itself.
func parseDynamicValue(value string) any {
	if i, err := strconv.Atoi(value); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(value, 64); err == nil {
		return f
	}
	if b, err := strconv.ParseBool(value); err == nil {
		return b
	}
	return value
}
