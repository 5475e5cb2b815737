package main

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/config"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
)

// createNamespace makes the namespace, with its search attributes, when there is none.
//
// It does so in the database before the server starts: a namespace made through the API is
// unknown to the server's caches for two seconds. The helper has SQLite in its name but works on
// any SQL database that the server supports.
func createNamespace(db config.Persistence, opts options) error {
	store := db.DataStores[db.DefaultStore].SQL
	ns, err := sqliteschema.NewNamespaceConfig(clusterName, opts.namespace, false,
		map[string]enumspb.IndexedValueType(opts.attributes))
	if err != nil {
		return fmt.Errorf("describe namespace %s: %w", opts.namespace, err)
	}
	ns.Detail.Config.Retention = durationpb.New(opts.retention)
	if err := sqliteschema.CreateNamespaces(store, ns); err != nil {
		return fmt.Errorf("create namespace %s: %w", opts.namespace, err)
	}
	return nil
}

// updateRetention makes a namespace that was there before keep its workflows as long as asked.
func updateRetention(ctx context.Context, conn *grpc.ClientConn, namespace string, retention time.Duration) error {
	client := workflowservice.NewWorkflowServiceClient(conn)
	ns, err := client.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("describe namespace %s: %w", namespace, err)
	}
	if ns.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == retention {
		return nil
	}
	if _, err := client.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
	}); err != nil {
		return fmt.Errorf("update retention of namespace %s: %w", namespace, err)
	}
	return nil
}
