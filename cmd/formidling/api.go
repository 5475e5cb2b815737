package main

import (
	"context"
	"sync"

	"github.com/spf13/cobra"
)

func apiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "api", Short: "Serve the API; run as many as you like", Args: cobra.NoArgs,
		RunE: configured(func(ctx context.Context, c config) error {
			p, err := connect(ctx, c, false)
			if err != nil {
				return err
			}
			defer p.close()
			return p.serveAPI(ctx, func() {})
		}),
	}
}

func workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "worker", Short: "Run the workflows of transfers; run as many as you like", Args: cobra.NoArgs,
		RunE: configured(func(ctx context.Context, c config) error {
			p, err := connect(ctx, c, false)
			if err != nil {
				return err
			}
			defer p.close()
			var listening sync.WaitGroup
			defer listening.Wait()
			listening.Go(func() { p.listenForEvents(ctx) }) // of other workers, while a webhook waits for more
			return p.work(ctx, func() {})
		}),
	}
}
