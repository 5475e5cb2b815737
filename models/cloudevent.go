package models

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
)

// CloudEvent is an event as its consumers see it, in the feed and by webhook alike (CloudEvents 1.0, docs/reference/altinn-broker.md 2.4).
// It says nothing of the file but the transfer's id.
type CloudEvent struct {
	ID               string // the same for ever, wherever the event is told
	Source           string
	Type             string
	Time             time.Time
	Resource         string
	ResourceInstance string // the transfer
	Subject          string // the organisation that is told
	Data             map[string]string
}

// EventSource is where events come from, as CloudEvents name it; publicURL is how clients reach the API.
func EventSource(publicURL string) string {
	return strings.TrimSuffix(publicURL, "/") + "/broker/api/v1/filetransfer"
}

// NewCloudEvent is the envelope of an event; source is EventSource's.
func NewCloudEvent(e Event, source string) CloudEvent {
	data := map[string]string{"Role": string(e.Role)}
	if name := e.Type.detailName(); name != "" && e.Detail != "" {
		data[name] = e.Detail
	}
	out := CloudEvent{
		ID: e.ID.String(), Source: source, Type: e.Type.FullType(), Time: e.At.UTC(),
		Resource: resourceURN + e.ResourceID, Subject: e.Party.URN(), Data: data,
	}
	if e.TransferID != uuid.Nil {
		out.ResourceInstance = e.TransferID.String()
	}
	return out
}

// MarshalJSON writes CloudEvents' JSON format. It is the only place where an event becomes JSON.
func (e CloudEvent) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		SpecVersion      string            `json:"specversion"`
		ID               string            `json:"id"`
		Type             string            `json:"type"`
		Time             time.Time         `json:"time"`
		Resource         string            `json:"resource,omitempty"`
		ResourceInstance string            `json:"resourceinstance,omitempty"`
		Subject          string            `json:"subject"`
		Source           string            `json:"source"`
		Data             map[string]string `json:"data"`
	}{"1.0", e.ID, e.Type, e.Time, e.Resource, e.ResourceInstance, e.Subject, e.Source, e.Data})
}
