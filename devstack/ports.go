package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

// ports are the TCP ports of one devstack. History, matching and worker talk to each other on
// loopback only, whatever --ip says.
type ports struct {
	frontend, frontendHTTP, ui, history, matching, worker int
}

// choosePorts checks that the wanted ports are free and picks the others. All are held open
// until the last is known, so no two are the same. They are let go before the server takes
// them, because it only accepts numbers, so another process can take one in between: call it
// right before the server starts.
func choosePorts(opts options) (p ports, err error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			err = errors.Join(err, l.Close())
		}
	}()
	take := func(ip string, port int, what string) int {
		if err != nil {
			return 0
		}
		l, listenErr := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
		if listenErr != nil {
			err = fmt.Errorf("take port %d for %s: %w", port, what, listenErr)
			return 0
		}
		held = append(held, l)
		return l.Addr().(*net.TCPAddr).Port
	}

	p.frontend = take(opts.ip, opts.port, "the server (--port)")
	p.frontendHTTP = take(opts.ip, 0, "the server's HTTP API")
	if opts.uiPort != 0 {
		p.ui = take(opts.ip, max(opts.uiPort, 0), "the UI (--ui-port)")
	}
	p.history = take(loopback, 0, "the history service")
	p.matching = take(loopback, 0, "the matching service")
	p.worker = take(loopback, 0, "the worker service")
	return p, err
}

// dialAddress is where a client on this machine reaches a listener on ip.
func dialAddress(ip string, port int) string {
	if parsed := net.ParseIP(ip); parsed != nil && parsed.IsUnspecified() {
		ip = loopback
	}
	return net.JoinHostPort(ip, strconv.Itoa(port))
}
