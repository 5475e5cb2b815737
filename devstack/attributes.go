package main

import (
	"context"
	"fmt"

	"go.temporal.io/api/operatorservice/v1"
	"google.golang.org/grpc"
)

// registerAttributes adds the search attributes that the namespace lacks. Safe to repeat: those
// it has are left alone, but one of another type is an error, because the server would keep the
// old type without a word.
func registerAttributes(ctx context.Context, conn *grpc.ClientConn, namespace string, want attributes) error {
	client := operatorservice.NewOperatorServiceClient(conn)
	have, err := client.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("list search attributes: %w", err)
	}
	missing := attributes{}
	for name, t := range want {
		switch existing, ok := have.GetCustomAttributes()[name]; {
		case !ok:
			missing[name] = t
		case existing != t:
			return fmt.Errorf("register search attribute %s as %v: it is %v already", name, t, existing)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := client.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace:        namespace,
		SearchAttributes: missing,
	}); err != nil {
		return fmt.Errorf("register search attributes: %w", err)
	}
	return nil
}
