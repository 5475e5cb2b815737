package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/webhook"
	"github.com/formidling/formidling/worker"
	"github.com/formidling/formidling/workflows"
)

// webhooks is what signs webhooks and says where they may go.
type webhooks struct {
	*webhook.Keys
	*webhook.Guard
}

// newWebhooks prepares webhooks. Alone on this machine (run, demo) they may go to loopback, and their keys are made up
// when none are configured.
func newWebhooks(c *config, alone bool) (webhooks, error) {
	keys, exceptions := c.PayloadKeys, c.WebhookExceptions
	if alone {
		exceptions = append([]string{"127.0.0.0/8", "::1/128"}, exceptions...)
		if keys == "" {
			var err error
			if keys, err = developmentKey(filepath.Join(c.Data, "webhook.key")); err != nil {
				return webhooks{}, err
			}
		}
	}
	k, err := webhook.NewKeys(keys)
	if err != nil {
		return webhooks{}, fmt.Errorf("FORMIDLING_PAYLOAD_KEYS: %w", err)
	}
	g, err := webhook.NewGuard(exceptions)
	if err != nil {
		return webhooks{}, fmt.Errorf("FORMIDLING_WEBHOOK_EXCEPTIONS: %w", err)
	}
	return webhooks{k, g}, nil
}

// developmentKey reads the key in a file, and makes it the first time.
func developmentKey(file string) (string, error) {
	found, err := os.ReadFile(file) //nolint:gosec // G304: in the directory that the user named
	if err == nil {
		return strings.TrimSpace(string(found)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read webhook key: %w", err)
	}
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", fmt.Errorf("make webhook key: %w", err)
	}
	key := "development:" + base64.StdEncoding.EncodeToString(raw[:])
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("make webhook key: %w", err)
	}
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("make webhook key: %w", err)
	}
	return key, nil
}

// pusher connects the activities of subscriptions.
func (p *parts) pusher() *activities.Webhooks {
	sender := webhook.NewSender(p.webhooks.Keys, p.webhooks.Guard, webhook.Options{Now: p.now})
	return activities.NewWebhooks(p.store, p.store, sender, p.config.PublicURL, p.now)
}

// wakeSubscriptions wakes subscriptions that have new events, until ctx ends.
func (p *parts) wakeSubscriptions(ctx context.Context) {
	worker.SubscriptionDispatcher{Notified: p.store.Notified(), Subscriptions: p.store, Workflows: workflows.NewClient(p.temporal), Log: p.log}.Run(ctx)
}
