package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const (
	pollInterval   = 20 * time.Millisecond
	servingTimeout = 30 * time.Second

	// frontendService is the name under which the frontend reports its health.
	frontendService = "temporal.api.workflowservice.v1.WorkflowService"
)

// until repeats try until it succeeds, and gives up with its last error when timeout has passed
// or ctx ends. What is tried, as an imperative, begins the error.
func until(ctx context.Context, timeout time.Duration, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-ticker.C:
		}
	}
}

// awaitServing waits until the frontend calls itself healthy.
func awaitServing(ctx context.Context, conn *grpc.ClientConn) error {
	client := grpc_health_v1.NewHealthClient(conn)
	return until(ctx, servingTimeout, "check health of server", func(ctx context.Context) error {
		res, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: frontendService})
		if err != nil {
			return err
		}
		if res.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			return fmt.Errorf("status is %v", res.GetStatus())
		}
		return nil
	})
}

// awaitUI waits until the UI answers at its address.
func awaitUI(ctx context.Context, ui string) error {
	return until(ctx, servingTimeout, "check health of UI", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, ui+"/healthz", http.NoBody)
		if err != nil {
			return err
		}
		// A proxy from the environment has no business between this process and itself.
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("status is %s", res.Status)
		}
		return nil
	})
}
