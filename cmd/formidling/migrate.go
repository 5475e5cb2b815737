package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/formidling/formidling/workflows"
)

func migrateCommand() *cobra.Command {
	only := ""
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the database's schema and Temporal's search attributes up to date", Args: cobra.NoArgs,
		Long: "Brings the schema of DATABASE_URL to this program's version and registers the search attributes that\n" +
			"transfers carry. Safe to repeat. Old programs work with the new schema while they are replaced.",
		RunE: configured(func(ctx context.Context, c config) error {
			p, err := connect(ctx, c, true) // no payload passes here, so no key is needed
			if err != nil {
				return err
			}
			defer p.close()
			var errs []error
			if only != "temporal" {
				errs = append(errs, p.store.Migrate(ctx))
			}
			if only != "database" {
				errs = append(errs, registerAttributes(ctx, p.temporal, p.namespace))
			}
			return errors.Join(errs...)
		}),
	}
	cmd.Flags().StringVar(&only, "only", "", "`database` or temporal")
	return cmd
}

// registerAttributes makes the search attributes known to Temporal; those that it knows are left alone.
func registerAttributes(ctx context.Context, c client.Client, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		SearchAttributes: workflows.SearchAttributes(), Namespace: namespace,
	})
	if err != nil {
		return fmt.Errorf("register search attributes: %w", err)
	}
	return nil
}
