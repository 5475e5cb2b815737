package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// stopTimeout bounds an orderly stop. Every store survives a kill, so nothing is lost by not
// waiting longer.
const stopTimeout = 10 * time.Second

// stack is a running server with its UI.
type stack struct {
	server temporal.Server
	ui     *uiserver.Server // nil without UI
	conn   *grpc.ClientConn
	hush   func() // keeps the server's log to errors
	ready  readiness
}

// startStack prepares the database and starts the server and the UI. What it returns has been
// started but need not answer yet: see awaitReady.
func startStack(ctx context.Context, opts options, logger *slog.Logger) (*stack, error) {
	serverLog, hush, err := serverLogger(opts.logLevel)
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(ctx, opts, serverLog)
	if err != nil {
		return nil, err
	}
	p, err := choosePorts(opts) // as late as can be, see there
	if err != nil {
		return nil, err
	}
	server, err := newServer(serverConfig(opts, p, db), opts, p, serverLog)
	if err != nil {
		return nil, fmt.Errorf("assemble server: %w", err)
	}
	address := dialAddress(opts.ip, p.frontend)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("dial server: %w", err)
	}
	st := &stack{
		server: server,
		conn:   conn,
		hush:   hush,
		ready:  readiness{Address: address, Namespace: opts.namespace},
	}
	if err := server.Start(); err != nil {
		st.stop(logger)
		return nil, fmt.Errorf("start server: %w", err)
	}
	if p.ui != 0 {
		st.ready.UI = "http://" + dialAddress(opts.ip, p.ui)
		st.ui = startUI(opts, address, p.ui, logger)
	}
	return st, nil
}

// openDatabase prepares the wanted database and makes the namespace in it.
func openDatabase(ctx context.Context, opts options, logger log.Logger) (db config.Persistence, err error) {
	if opts.pg != nil {
		db, err = openPostgres(ctx, opts.pg, logger)
	} else {
		db, err = openSQLite(opts.dbFile)
	}
	if err != nil {
		return config.Persistence{}, err
	}
	return db, createNamespace(db, opts)
}

// newServer assembles the four services without authorization, which is why options refuses
// addresses that others can reach.
func newServer(conf *config.Config, opts options, p ports, logger log.Logger) (temporal.Server, error) {
	return temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts(opts, p)),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
		temporal.WithDynamicConfigClient(dynamicconfig.StaticClient(opts.dynamic)),
	)
}

// awaitReady returns when everything that the announcement promises has been seen to work.
func (s *stack) awaitReady(ctx context.Context, opts options) error {
	if err := awaitServing(ctx, s.conn); err != nil {
		return err
	}
	if err := updateRetention(ctx, s.conn, opts.namespace, opts.retention); err != nil {
		return err
	}
	if err := registerAttributes(ctx, s.conn, opts.namespace, opts.attributes); err != nil {
		return err
	}
	if err := awaitUsable(ctx, s.conn, opts.namespace, opts.attributes); err != nil {
		return err
	}
	if s.ui == nil {
		return nil
	}
	return awaitUI(ctx, s.ready.UI)
}

// stop ends the UI first, as it is a client of the server, and gives the server stopTimeout.
func (s *stack) stop(logger *slog.Logger) {
	s.hush()
	if s.ui != nil {
		s.ui.Stop()
	}
	_ = s.conn.Close() // nothing is in flight, and the process ends
	done := make(chan error, 1)
	go func() { done <- s.server.Stop() }()
	select {
	case err := <-done:
		if err != nil {
			logger.Warn("server stopped with an error", slog.Any("error", err))
		}
	case <-time.After(stopTimeout):
		logger.Warn("server did not stop in time", slog.Duration("timeout", stopTimeout))
	}
}
