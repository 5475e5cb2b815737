package main

import (
	"log/slog"
	"net"
	"strings"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
)

// startUI serves the web UI for the server at address. Its assets are embedded, and everything
// that would make it or the browser call its maker is off.
//
// The UI server ends the process when it cannot listen; choosePorts has seen the port free.
func startUI(opts options, address string, port int, logger *slog.Logger) *uiserver.Server {
	ui := uiserver.NewServer(uioptions.WithConfigProvider(uiConfig(opts, address, port)))
	go func() {
		if err := ui.Start(); err != nil {
			logger.Error("UI ended", slog.Any("error", err))
		}
	}()
	return ui
}

// uiConfig is the configuration of the UI.
func uiConfig(opts options, address string, port int) *uiconfig.Config {
	host := opts.ip
	if strings.Contains(host, ":") && net.ParseIP(host) != nil {
		host = "[" + host + "]" // the UI server joins host and port with a colon only
	}
	return &uiconfig.Config{
		Host:                host,
		Port:                port,
		TemporalGRPCAddress: address,
		DefaultNamespace:    opts.namespace,
		EnableUI:            true,
		HideLogs:            true,
		DisableNewsFetch:    true,
		NotifyOnNewVersion:  false,
		FeedbackURL:         "",
		Codec:               uiconfig.Codec{Endpoint: opts.codecEndpoint},
		// There is no TLS on loopback, so the browser must send the cookie without it.
		CORS: uiconfig.CORS{CookieInsecure: true},
	}
}
