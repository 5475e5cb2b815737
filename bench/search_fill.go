package main

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

// fillScript is SQL; $1 stands for the number of transfers.
//
//go:embed search_fill.sql
var fillScript string

// searchService is the service that fillScript fills.
const searchService = "bench"

// fill makes the schema with the program's own migrations and puts transfers in.
func fill(ctx context.Context, url string, rows int) error {
	s, err := store.Open(url, store.Options{})
	if err != nil {
		return err
	}
	err = s.Migrate(ctx)
	if closed := s.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		return fmt.Errorf("fill database: %w", err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // the script has temporary tables
	for _, statement := range []string{strings.ReplaceAll(fillScript, "$1", strconv.Itoa(rows)), "VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill database: %w", err)
		}
	}
	return nil
}

// landmarks are what the searches ask for: found in the data, because it hangs on when it was made.
type landmarks struct {
	heavy, light   models.Party
	reference      map[models.Party]string // that one transfer has, which the party received
	sentReference  map[models.Party]string
	first, last    time.Time
	transfers      int
	heavySent      int
	heavyReceived  int
	middle         map[models.Party]models.SearchPosition
	middleReceived map[models.Party]models.SearchPosition
}

// survey looks around.
func survey(ctx context.Context, url string) (landmarks, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return landmarks{}, fmt.Errorf("survey: %w", err)
	}
	defer func() { _ = db.Close() }()
	m := landmarks{
		heavy: senderParty, reference: map[models.Party]string{}, sentReference: map[models.Party]string{},
		middle: map[models.Party]models.SearchPosition{}, middleReceived: map[models.Party]models.SearchPosition{},
	}
	row := db.QueryRowContext(ctx, `SELECT count(*), min(created), max(created), count(*) FILTER (WHERE sender = $1),
		(SELECT count(*) FROM recipients WHERE party = $1),
		(SELECT party FROM recipients WHERE party <> $1 GROUP BY party ORDER BY count(*) DESC LIMIT 1) FROM transfers`, m.heavy)
	if err := row.Scan(&m.transfers, &m.first, &m.last, &m.heavySent, &m.heavyReceived, &m.light); err != nil {
		return m, fmt.Errorf("survey: %w", err)
	}
	for _, p := range []models.Party{m.heavy, m.light} {
		var sent, received models.SearchPosition
		var sentReference, reference string
		for _, q := range []struct {
			from      string
			at        *models.SearchPosition
			reference *string
		}{
			{"transfers t WHERE t.sender = $1", &sent, &sentReference},
			{"recipients r JOIN transfers t ON t.id = r.transfer_id WHERE r.party = $1", &received, &reference},
		} {
			var id string
			err := db.QueryRowContext(ctx, `SELECT t.id, t.created, t.senders_reference FROM `+q.from+
				` AND t.senders_reference LIKE 'order-%' ORDER BY t.created
				OFFSET (SELECT count(*) / 2 FROM `+q.from+` AND t.senders_reference LIKE 'order-%') LIMIT 1`, p).Scan(&id, &q.at.At, q.reference)
			if err != nil {
				return m, fmt.Errorf("survey: %w", err)
			}
			if q.at.ID, err = uuid.Parse(id); err != nil {
				return m, fmt.Errorf("survey: %w", err)
			}
		}
		m.middle[p], m.middleReceived[p] = sent, received
		m.sentReference[p], m.reference[p] = sentReference, reference
	}
	return m, nil
}
