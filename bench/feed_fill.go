package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/formidling/formidling/models"
)

// fillFeed puts events into an organisation's feed, without the transfers that they would be of.
func fillFeed(ctx context.Context, url string, reader models.Party, events int) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return fmt.Errorf("fill feed: %w", err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // the first statement is for the connection
	script := strings.NewReplacer("$1", "'"+string(reader)+"'", "$2", strconv.Itoa(events)).Replace(feedFill)
	for _, statement := range []string{"SET session_replication_role = replica", script, "VACUUM ANALYZE events", "CHECKPOINT"} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill feed: %w", err)
		}
	}
	return nil
}

// connections counts how many clients are connected to the broker.
func (b *broker) connections() int {
	raw, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(b.base, "http://"), ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	established := regexp.MustCompile(fmt.Sprintf(": 0100007F:%04X [0-9A-F]{8}:[0-9A-F]{4} 01 ", n))
	return len(established.FindAll(raw, -1))
}
