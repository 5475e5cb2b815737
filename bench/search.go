package main

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

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

// questions are all kinds of search that the API lets a client ask, and the combinations that clients use.
var questions = []question{
	{"everything", func(models.Party, landmarks) models.Search { return models.Search{} }},
	{"role=Sender", func(models.Party, landmarks) models.Search { return models.Search{Role: models.RoleSender} }},
	{"role=Recipient", func(models.Party, landmarks) models.Search { return models.Search{Role: models.RoleRecipient} }},
	{"status=Initialized", withStatus(models.TransferInitialized)},
	{"status=UploadStarted", withStatus(models.TransferUploadStarted)},
	{"status=UploadProcessing", withStatus(models.TransferUploadProcessing)},
	{"status=Published", withStatus(models.TransferPublished)},
	{"status=AllConfirmedDownloaded", withStatus(models.TransferAllConfirmedDownloaded)},
	{"status=Purged", withStatus(models.TransferPurged)},
	{"status=Failed", withStatus(models.TransferFailed)},
	{"recipientStatus=Initialized", withRecipientStatus(models.RecipientInitialized)},
	{"recipientStatus=DownloadStarted", withRecipientStatus(models.RecipientDownloadStarted)},
	{"recipientStatus=DownloadConfirmed", withRecipientStatus(models.RecipientDownloadConfirmed)},
	{"inbox: Published, Initialized", inbox(models.RecipientInitialized)},
	{"inbox: Published, DownloadStarted", inbox(models.RecipientDownloadStarted)},
	{"inbox: Published, DownloadConfirmed", inbox(models.RecipientDownloadConfirmed)},
	{"Purged, DownloadStarted", func(models.Party, landmarks) models.Search {
		return models.Search{Status: of(models.TransferPurged), RecipientStatus: of(models.RecipientDownloadStarted)}
	}},
	{"from and to, one day", func(_ models.Party, m landmarks) models.Search {
		return models.Search{From: of(m.middleDay()), To: of(m.middleDay().Add(24 * time.Hour))}
	}},
	{"from, half a year", func(_ models.Party, m landmarks) models.Search { return models.Search{From: of(m.middleDay())} }},
	{"to, half a year", func(_ models.Party, m landmarks) models.Search { return models.Search{To: of(m.middleDay())} }},
	{"status=Purged, one day", func(_ models.Party, m landmarks) models.Search {
		return models.Search{Status: of(models.TransferPurged), From: of(m.middleDay()), To: of(m.middleDay().Add(24 * time.Hour))}
	}},
	{"DownloadStarted, one day", func(_ models.Party, m landmarks) models.Search {
		return models.Search{RecipientStatus: of(models.RecipientDownloadStarted), From: of(m.middleDay()), To: of(m.middleDay().Add(24 * time.Hour))}
	}},
	{"reference of one sent", func(by models.Party, m landmarks) models.Search {
		return models.Search{SendersReference: m.sentReference[by]}
	}},
	{"reference of one received", func(by models.Party, m landmarks) models.Search {
		return models.Search{SendersReference: m.reference[by]}
	}},
	{"reference of many", func(models.Party, landmarks) models.Search { return models.Search{SendersReference: "batch-1"} }},
	{"reference of none", func(models.Party, landmarks) models.Search { return models.Search{SendersReference: "no such one"} }},
	{"reference of one received, Purged", func(by models.Party, m landmarks) models.Search {
		return models.Search{SendersReference: m.reference[by], Status: of(models.TransferPurged)}
	}},
	{"reference of none, Purged", func(models.Party, landmarks) models.Search {
		return models.Search{SendersReference: "no such one", Status: of(models.TransferPurged)}
	}},
	{"reference of none, Confirmed", func(models.Party, landmarks) models.Search {
		return models.Search{SendersReference: "no such one", RecipientStatus: of(models.RecipientDownloadConfirmed)}
	}},
	{"page in the middle of all sent", func(by models.Party, m landmarks) models.Search {
		return models.Search{Role: models.RoleSender, After: of(m.middle[by])}
	}},
	{"page in the middle of all received", func(by models.Party, m landmarks) models.Search {
		return models.Search{Role: models.RoleRecipient, After: of(m.middleReceived[by])}
	}},
	{"page in the middle, Purged", func(by models.Party, m landmarks) models.Search {
		return models.Search{Status: of(models.TransferPurged), After: of(m.middle[by])}
	}},
	{"page in the middle, unconfirmed", func(by models.Party, m landmarks) models.Search {
		return models.Search{RecipientStatus: of(models.RecipientInitialized), After: of(m.middleReceived[by])}
	}},
}

// middleDay begins in the middle of the year.
func (m landmarks) middleDay() time.Time { return m.first.Add(m.last.Sub(m.first) / 2) }

func of[T any](v T) *T { return &v }

func withStatus(s models.TransferStatus) func(models.Party, landmarks) models.Search {
	return func(models.Party, landmarks) models.Search { return models.Search{Status: &s} }
}

func withRecipientStatus(s models.RecipientStatus) func(models.Party, landmarks) models.Search {
	return func(models.Party, landmarks) models.Search { return models.Search{RecipientStatus: &s} }
}

func inbox(s models.RecipientStatus) func(models.Party, landmarks) models.Search {
	return func(models.Party, landmarks) models.Search {
		return models.Search{Status: of(models.TransferPublished), RecipientStatus: &s}
	}
}
