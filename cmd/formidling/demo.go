package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/formidling/formidling/internal/demo"
	"github.com/formidling/formidling/internal/devtemporal"
)

// anyPort lets the system choose a port, on loopback.
const anyPort = "127.0.0.1:0"

// serveDemo gives the demo a broker on free ports, whose state is thrown away.
func serveDemo(ctx context.Context, directory string, playing func(context.Context, demo.Broker) error) error {
	c, err := readConfig(os.Environ())
	if err != nil {
		return err
	}
	c.Data, c.LogLevel = directory, max(c.LogLevel, slog.LevelWarn)
	c.Listen, c.PublicURL, c.MTLSListen, c.MTLSURL = anyPort, "http://"+anyPort, anyPort, "https://"+anyPort
	c.DatabaseURL, c.Objects = "sqlite:"+filepath.Join(directory, "formidling.db"), filepath.Join(directory, "objects")
	return runEmbedded(ctx, c, devtemporal.Ports{Server: 0, UI: -1}, func(ctx context.Context, e *embedded) error {
		return playing(ctx, demo.Broker{
			URL: e.config.PublicURL, MTLSURL: e.config.MTLSURL, Certificates: e.config.pkiDirectory(), TemporalUI: e.ui,
		})
	})
}
