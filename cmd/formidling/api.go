package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/models"
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
			go p.wakeSubscriptions(ctx)
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
			if !c.publicURLGiven {
				p.log.WarnContext(ctx, "FORMIDLING_PUBLIC_URL is not set; webhooks name a guess as their source", "source", models.EventSource(c.PublicURL))
			}
			return p.work(ctx, func() {})
		}),
	}
}
