package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

const (
	searchTarget  = 50.0 // ms, p95
	searchRepeats = 40
	searchLimit   = 4 * time.Second // for all repetitions of one search
)

// question is one kind of search.
type question struct {
	name string
	ask  func(by models.Party, m landmarks) models.Search
}

// search measures the store's real search on a PostgreSQL with its default settings, filled with a year
// of transfers, for the organisation that has half of them and for one of the small ones.
func search(ctx context.Context, l *lab) (result, error) {
	pg, err := testenv.StartPostgres() //nolint:contextcheck // it has a limit of its own
	if err != nil {
		return result{}, err
	}
	defer pg.Stop()
	url := pg.URL("postgres")
	l.say("filling the database with %d transfers", l.searchRows)
	began := time.Now()
	if err := fill(ctx, url, l.searchRows); err != nil {
		return result{}, err
	}
	m, err := survey(ctx, url)
	if err != nil {
		return result{}, err
	}
	l.say("filled in %.0f s; searching", time.Since(began).Seconds())
	s, err := store.Open(url, store.Options{})
	if err != nil {
		return result{}, err
	}
	defer func() { _ = s.Close() }()
	t := table{
		title:   fmt.Sprintf("%d transfers; big has sent %d and received %d; pages of %d, ms", m.transfers, m.heavySent, m.heavyReceived, models.MaxSearchResults),
		columns: []string{"search", "hits", "big: newest first p50", "p95", "oldest first p50", "p95", "small: p50", "p95", "oldest p50", "p95"},
	}
	worst, slow := 0.0, []models.Search(nil)
	for _, q := range questions {
		row := []any{q.name}
		for _, by := range []models.Party{m.heavy, m.light} {
			for _, ascending := range []bool{false, true} {
				asked := q.ask(by, m)
				asked.Caller, asked.ResourceID, asked.Limit, asked.Ascending = by, searchService, models.MaxSearchResults, ascending
				took, hits, err := repeat(ctx, s, asked)
				if err != nil {
					return result{Tables: []table{t}}, fmt.Errorf("%s: %w", q.name, err)
				}
				if len(row) == 1 {
					row = append(row, hits)
				}
				row = append(row, took.quantile(0.5), took.quantile(0.95))
				if worst = max(worst, took.quantile(0.95)); took.quantile(0.95) > searchTarget {
					slow = append(slow, asked)
				}
			}
		}
		t.add(row...)
	}
	r := result{Tables: []table{t}}
	r.Targets = []target{atMost(fmt.Sprintf("search among %d, the slowest kind's p95", m.transfers), worst, searchTarget, "ms")}
	return r, explain(ctx, url, slow)
}

// repeat asks the same question again and again, on a warm cache.
func repeat(ctx context.Context, s *store.Store, q models.Search) (took sample, hits int, err error) {
	began := time.Now()
	for i := range searchRepeats + 1 {
		from := time.Now()
		page, err := s.SearchTransfers(ctx, q)
		if err != nil {
			return nil, 0, err
		}
		if hits = len(page.IDs); i > 0 { // the first one warms
			took = append(took, millis(time.Since(from)))
		}
		if len(took) > 0 && time.Since(began) > searchLimit {
			break
		}
	}
	return took, hits, nil
}

// explain asks the slow questions once more, on connections for which PostgreSQL prints the plan of
// every statement on its standard error, which is ours.
func explain(ctx context.Context, url string, slow []models.Search) error {
	if len(slow) == 0 {
		return nil
	}
	s, err := store.Open(url+"&session_preload_libraries=auto_explain&auto_explain.log_min_duration=20ms&auto_explain.log_analyze=on"+
		"&auto_explain.log_buffers=on&log_min_messages=log&log_min_duration_statement=-1", store.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	for _, q := range slow {
		fmt.Fprintf(os.Stderr, "\nslow: %s\n", describe(q))
		if _, err := s.SearchTransfers(ctx, q); err != nil {
			return fmt.Errorf("explain: %w", err)
		}
	}
	return nil
}

func describe(q models.Search) string {
	words := []string{string(q.Caller)}
	add := func(given bool, format string, args ...any) {
		if given {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(q.Status != nil, "status=%v", q.Status)
	add(q.RecipientStatus != nil, "recipientStatus=%v", q.RecipientStatus)
	add(q.Role != "", "role=%s", q.Role)
	add(q.From != nil, "from=%v", q.From)
	add(q.To != nil, "to=%v", q.To)
	add(q.SendersReference != "", "reference=%s", q.SendersReference)
	add(q.After != nil, "with a cursor")
	add(q.Ascending, "oldest first")
	return strings.Join(words, " ")
}
