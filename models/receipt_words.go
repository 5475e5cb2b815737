package models

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ReadReceipt reads what a receipt says, without verifying it: of one that is ours.
func ReadReceipt(jws string) (Receipt, error) {
	var r Receipt
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return r, errors.New("read receipt: it is no compact JWS")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read receipt: %w", err)
	}
	return r, nil
}

// Describe says in one sentence what a receipt tells, beginning with when that was.
func Describe(r Receipt) string {
	var b strings.Builder
	at := r.At
	if r.Occurred != nil {
		at = *r.Occurred
	}
	fmt.Fprintf(&b, "%s %s", at.UTC().Format(time.RFC3339), words(r))
	if r.Actor != nil {
		fmt.Fprintf(&b, ", by %s", r.Actor.Organisation)
		if r.Actor.Supplier != "" {
			fmt.Fprintf(&b, " through %s", r.Actor.Supplier)
		}
		if r.Actor.Login != "" {
			fmt.Fprintf(&b, " (%s %s)", r.Actor.Login, r.Actor.Thumbprint)
		}
	}
	if r.Right != nil {
		fmt.Fprintf(&b, ", permitted by %s version %d", r.Right.By, r.Right.Version)
		if d := r.Right.Delegation; d != nil && d.Version > 0 {
			fmt.Fprintf(&b, " and %s version %d", d.By, d.Version)
		} else if d != nil {
			fmt.Fprintf(&b, " and %s", d.By)
		}
	}
	if c := r.Claim; c != nil {
		for _, part := range [][2]string{{"status", c.Status}, {"text", c.Text}, {"SHA-256 found", c.SHA256}, {"proof", c.Proof}} {
			if part[1] != "" {
				fmt.Fprintf(&b, ", %s %q", part[0], part[1])
			}
		}
	}
	if r.Reason != nil {
		fmt.Fprintf(&b, ". Reason: %s %s", r.Reason.Code, r.Reason.Text)
	}
	return b.String()
}

func words(r Receipt) string {
	to, served := ReceiptParties{}, ReceiptServed{}
	if r.To != nil {
		to = *r.To
	}
	if r.Served != nil {
		served = *r.Served
	}
	switch r.Event {
	case ReceiptAuthorized:
		return fmt.Sprintf("the transfer of %s in service %s to %d recipients was permitted", r.Sender, r.Service, to.Count)
	case ReceiptAccepted:
		return "the content was stored and verified"
	case ReceiptRefused:
		return fmt.Sprintf("a submission of %s to service %s was refused", r.Sender, r.Service)
	case ReceiptConsigned:
		return fmt.Sprintf("the file was made available to %s", r.Recipient)
	case ReceiptNotified:
		return fmt.Sprintf("%s was notified", r.Recipient)
	case ReceiptNotificationFailed:
		return fmt.Sprintf("%s could not be notified", r.Recipient)
	case ReceiptHandedOver:
		return fmt.Sprintf("%d bytes were handed over to %s in %d downloads", served.Bytes, r.Recipient, served.Downloads)
	case ReceiptHandoverFailed:
		if r.Served != nil {
			return fmt.Sprintf("%d bytes were sent to %s in %d downloads that broke off", served.Bytes, r.Recipient, served.Downloads)
		}
		return fmt.Sprintf("the file was not handed over to %s", r.Recipient)
	case ReceiptConfirmed:
		return fmt.Sprintf("%s confirmed that it has the file", r.Recipient)
	case ReceiptAcknowledged:
		return "a party said what it made of the file"
	case ReceiptSenderProof:
		return "the sender signed for the content itself"
	case ReceiptCancelled:
		return "the sender took the transfer back"
	case ReceiptExpired:
		return "the file expired before all had confirmed"
	case ReceiptPurged:
		return "the file was deleted"
	}
	return r.Event.Name()
}
