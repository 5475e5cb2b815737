package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/formidling/formidling/client"
	"github.com/formidling/formidling/models"
)

// document prints a result as one line of JSON.
func (u *user) document(v any) error { return json.NewEncoder(u.out).Encode(v) }

// visible is a text without characters that control a terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}

// parseID reads the id of a transfer.
func parseID(text string) (client.FileTransferID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return id, usageError{fmt.Errorf("%q is not the id of a transfer: a UUID, such as 3fa85f64-5717-4562-b3fc-2c963f66afa6", text)}
	}
	return id, nil
}

// parseOrganisations reads who shall receive: nine digits, or one of the broker's forms.
func parseOrganisations(given []string) ([]string, error) {
	var out []string
	for _, one := range given {
		party, err := models.ParseOrganisation(strings.TrimSpace(one))
		if err != nil {
			return nil, usageError{fmt.Errorf("--to %q: an organisation is nine digits, or 0192: and nine digits", one)}
		}
		out = append(out, string(party))
	}
	if len(out) == 0 {
		return nil, usageError{errors.New("who shall receive? Name the organisations with --to")}
	}
	return out, nil
}

// needService checks that a service was named.
func (c *config) needService() error {
	if c.Service == "" {
		return usageError{errors.New("which service? Set FORMIDLING_SERVICE, or --service")}
	}
	return nil
}

// entry is a transfer as the client commands print it.
type entry struct {
	ID         client.FileTransferID     `json:"fileTransferId"`
	Service    string                    `json:"resourceId"`
	Sender     string                    `json:"sender"`
	Reference  string                    `json:"sendersFileTransferReference"`
	FileName   string                    `json:"fileName"`
	Size       int64                     `json:"fileTransferSize"`
	SHA256     *string                   `json:"sha256"`
	Status     client.FileTransferStatus `json:"fileTransferStatus"`
	Published  *time.Time                `json:"published"`
	Expires    time.Time                 `json:"expirationTime"`
	Properties client.PropertyList       `json:"propertyList"`
}

func newEntry(t client.FileTransferOverview) entry {
	return entry{
		ID: t.FileTransferID, Service: t.ResourceID, Sender: t.Sender, Reference: t.SendersFileTransferReference, FileName: t.FileName,
		Size: t.FileTransferSize, SHA256: t.Sha256, Status: t.FileTransferStatus, Published: t.Published, Expires: t.ExpirationTime,
		Properties: t.PropertyList,
	}
}

// line is a transfer for people, without the control characters that a sender may have put into its words.
func line(t client.FileTransferOverview) string {
	when := "-"
	if t.Published != nil {
		when = t.Published.Local().Format("2006-01-02 15:04")
	}
	return fmt.Sprintf("%s  %-16s  %9s  %-16s  %s", t.FileTransferID, visible(t.Sender), bytesText(t.FileTransferSize), when, visible(t.FileName))
}
