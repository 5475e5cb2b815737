package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/operatorservice/v1"

	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/workflows"
)

func migrateCommand() *cobra.Command {
	only := ""
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the database's schema and Temporal's search attributes up to date", Args: cobra.NoArgs,
		Long: "Brings the schema of DATABASE_URL to this program's version and registers the search attributes that\n" +
			"transfers carry. Safe to repeat. Old programs work with the new schema while they are replaced.",
		RunE: configured(func(ctx context.Context, c config) error {
			switch only {
			case "", "database", "temporal":
			default:
				return fmt.Errorf("--only %q: it must be database or temporal", only)
			}
			var errs []error
			if only != "temporal" {
				errs = append(errs, migrateDatabase(ctx, c))
			}
			if only != "database" {
				errs = append(errs, registerAttributes(ctx, c))
			}
			return errors.Join(errs...)
		}),
	}
	cmd.Flags().StringVar(&only, "only", "", "`database` or temporal")
	return cmd
}

func migrateDatabase(ctx context.Context, c config) error {
	if err := c.requireShared(); err != nil {
		return err
	}
	s, err := store.Open(c.DatabaseURL, store.Options{})
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx), s.Close())
}

// registerAttributes makes the search attributes known to Temporal; those that it knows are left alone.
func registerAttributes(ctx context.Context, c config) error {
	p := &parts{config: c, log: newLogger(c)} // no payload passes here, so no key is needed
	if err := p.connectTemporal(); err != nil {
		return err
	}
	defer p.temporal.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := p.temporal.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		SearchAttributes: workflows.SearchAttributes(), Namespace: p.namespace,
	})
	if err != nil {
		return fmt.Errorf("register search attributes: %w", err)
	}
	return nil
}
