package main

import (
	"fmt"
	"log/slog"
	"strings"

	"go.temporal.io/server/common/log"
	"go.uber.org/zap"
)

// serverLogger writes the server's logs to standard error, from level upwards.
//
// The returned hush keeps it to errors from then on: while a server stops, its services warn at
// length that the others are gone, which tells the reader nothing.
func serverLogger(level slog.Level) (logger log.Logger, hush func(), err error) {
	name := strings.ToLower(level.String())
	threshold, err := zap.ParseAtomicLevel(name)
	if err != nil {
		return nil, nil, fmt.Errorf("set log level: %w", err)
	}
	base := log.BuildZapLogger(log.Config{Level: name}).WithOptions(zap.IncreaseLevel(threshold))
	return log.NewZapLogger(base), func() { threshold.SetLevel(zap.ErrorLevel) }, nil
}
