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

// feedFill tells $2 events to $1, of twenty services, a hundredth of them cancellations. What differs between databases is
// in braces.
const feedFill = `
INSERT INTO party_sequences VALUES ($1, $2) ON CONFLICT (party) DO UPDATE SET last = excluded.last;
INSERT INTO events (party, seq, id, type, transfer_id, resource_id, role, at, detail)
SELECT $1, i, {id}, CASE WHEN i % 100 = 0 THEN 'cancelled' WHEN i % 2 = 0 THEN 'published' ELSE 'downloadconfirmed' END,
	'00000000-0000-0000-0000-000000000000', CASE WHEN i % 1000 = 0 THEN 'rare' ELSE 'service-' || i % 20 END, 'Recipient', {now}, ''
FROM {numbers};`

// fillFeed puts events into an organisation's feed, without the transfers that they would be of.
func fillFeed(ctx context.Context, url string, reader models.Party, events int) error {
	driver, before, after := "pgx", "SET session_replication_role = replica", "VACUUM ANALYZE events; CHECKPOINT"
	words := []string{"{id}", "gen_random_uuid()", "{now}", "now()", "{numbers}", "generate_series(1, $2) i"}
	if file, is := strings.CutPrefix(url, "sqlite:"); is {
		driver, url, before, after = "sqlite", file+"?_pragma=busy_timeout(10000)", "PRAGMA foreign_keys = off", "ANALYZE"
		words = []string{
			"{id}", "lower(hex(randomblob(16)))", "{now}", "'2026-11-26 12:00:00+00:00'", "{numbers}",
			"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) SELECT i FROM n)",
		}
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		return fmt.Errorf("fill feed: %w", err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // the first statement is for the connection
	script := strings.NewReplacer(words...).Replace(feedFill)
	script = strings.NewReplacer("$1", "'"+string(reader)+"'", "$2", strconv.Itoa(events)).Replace(script)
	for _, statement := range append([]string{before, script}, strings.Split(after, "; ")...) {
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
