package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	commandpb "go.temporal.io/api/command/v1"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/searchattribute/sadefs"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	usableTimeout = 60 * time.Second
	roundTimeout  = 15 * time.Second

	// probeType is the workflow type of the probe, and begins its workflow ID.
	probeType = "devstack-probe"
)

// awaitUsable runs a short workflow that sets every search attribute, finds it by them, and
// removes it again, until that succeeds.
//
// Asking the server whether it knows an attribute is not enough: its services refresh their
// knowledge of a namespace independently, so the frontend may accept an attribute in a query
// while history still fails the workflow that sets it.
func awaitUsable(ctx context.Context, conn *grpc.ClientConn, namespace string, attrs attributes) error {
	return until(ctx, usableTimeout, "run a workflow with the search attributes", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, roundTimeout)
		defer cancel()
		p := probe{
			client:    workflowservice.NewWorkflowServiceClient(conn),
			namespace: namespace,
			id:        probeType + "-" + uuid.NewString(),
			attrs:     attrs,
		}
		if err := p.start(ctx); err != nil {
			return err
		}
		return errors.Join(p.live(ctx), p.remove(ctx))
	})
}

// probe is one workflow; its task queue has the same name, so that no worker takes its task.
type probe struct {
	client    workflowservice.WorkflowServiceClient
	namespace string
	id        string
	attrs     attributes
}

func (p probe) start(ctx context.Context) error {
	if _, err := p.client.StartWorkflowExecution(ctx, &workflowservice.StartWorkflowExecutionRequest{
		Namespace:          p.namespace,
		WorkflowId:         p.id,
		WorkflowType:       &commonpb.WorkflowType{Name: probeType},
		TaskQueue:          p.taskQueue(),
		WorkflowRunTimeout: durationpb.New(roundTimeout),
		RequestId:          p.id,
		Identity:           probeType,
	}); err != nil {
		return fmt.Errorf("start probe: %w", err)
	}
	return nil
}

// live is what a worker would do, then what a reader of the visibility records would.
func (p probe) live(ctx context.Context) error {
	if err := p.setAttributes(ctx); err != nil {
		return err
	}
	return until(ctx, roundTimeout, "find probe", func(ctx context.Context) error {
		return p.expect(ctx, 1)
	})
}

// setAttributes takes the probe's only task and answers it with an upsert. The workflow stays
// open: the server deletes an open one at once, a completed one up to half a minute later.
func (p probe) setAttributes(ctx context.Context) error {
	task, err := p.client.PollWorkflowTaskQueue(ctx, &workflowservice.PollWorkflowTaskQueueRequest{
		Namespace: p.namespace,
		TaskQueue: p.taskQueue(),
		Identity:  probeType,
	})
	if err != nil {
		return fmt.Errorf("poll for probe: %w", err)
	}
	upsert, err := p.upsert()
	if err != nil {
		return err
	}
	if _, err := p.client.RespondWorkflowTaskCompleted(ctx, &workflowservice.RespondWorkflowTaskCompletedRequest{
		Namespace: p.namespace,
		TaskToken: task.GetTaskToken(),
		Identity:  probeType,
		Commands:  []*commandpb.Command{upsert},
	}); err != nil {
		return fmt.Errorf("set search attributes of probe: %w", err)
	}
	return nil
}

// upsert sets every attribute to a value of its type.
func (p probe) upsert() (*commandpb.Command, error) {
	fields := map[string]*commonpb.Payload{}
	for name, t := range p.attrs {
		payload, err := sadefs.EncodeValue(sample(t), t)
		if err != nil {
			return nil, fmt.Errorf("encode search attribute %s: %w", name, err)
		}
		fields[name] = payload
	}
	return &commandpb.Command{
		CommandType: enumspb.COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
		Attributes: &commandpb.Command_UpsertWorkflowSearchAttributesCommandAttributes{
			UpsertWorkflowSearchAttributesCommandAttributes: &commandpb.UpsertWorkflowSearchAttributesCommandAttributes{
				SearchAttributes: &commonpb.SearchAttributes{IndexedFields: fields},
			},
		},
	}, nil
}

// expect asks the visibility records for the probe by all its attributes, and wants to find n.
func (p probe) expect(ctx context.Context, n int) error {
	terms := []string{fmt.Sprintf("WorkflowId = '%s'", p.id)}
	for name := range p.attrs {
		terms = append(terms, fmt.Sprintf("`%s` IS NOT NULL", name))
	}
	slices.Sort(terms)
	found, err := p.client.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: p.namespace,
		Query:     strings.Join(terms, " AND "),
	})
	if err != nil {
		return fmt.Errorf("list probe: %w", err)
	}
	if len(found.GetExecutions()) != n {
		return fmt.Errorf("list probe: found %d, want %d", len(found.GetExecutions()), n)
	}
	return nil
}

// remove ends and deletes the probe, so that nobody wonders about it in the UI.
func (p probe) remove(ctx context.Context) error {
	if _, err := p.client.DeleteWorkflowExecution(ctx, &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace:         p.namespace,
		WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: p.id},
	}); err != nil {
		return fmt.Errorf("delete probe: %w", err)
	}
	return until(ctx, roundTimeout, "see probe deleted", func(ctx context.Context) error {
		return p.expect(ctx, 0)
	})
}

func (p probe) taskQueue() *taskqueuepb.TaskQueue {
	return &taskqueuepb.TaskQueue{Name: p.id, Kind: enumspb.TASK_QUEUE_KIND_NORMAL}
}

// sample is some value of the given type.
func sample(t enumspb.IndexedValueType) any {
	switch t {
	case enumspb.INDEXED_VALUE_TYPE_INT:
		return 1
	case enumspb.INDEXED_VALUE_TYPE_DOUBLE:
		return 1.5
	case enumspb.INDEXED_VALUE_TYPE_BOOL:
		return true
	case enumspb.INDEXED_VALUE_TYPE_DATETIME:
		return time.Unix(0, 0).UTC()
	case enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST:
		return []string{probeType}
	case enumspb.INDEXED_VALUE_TYPE_KEYWORD, enumspb.INDEXED_VALUE_TYPE_TEXT, enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED:
	}
	return probeType
}
