package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
)

// TestEvents_WithCurl runs what docs/events.md tells its readers to type.
func TestEvents_WithCurl(t *testing.T) {
	t.Parallel()
	out := runSnippets(t, "../../docs/events.md", "TestEvents_WithCurl")
	for _, seen := range []string{`"type":"no.altinn.broker.published"`, "next: https://127.0.0.1", "event: no.altinn.broker.filetransferinitialized", `"data":{"Role":"Recipient"}`} {
		require.Contains(t, strings.ReplaceAll(out, "Next:", "next:"), seen)
	}
}

// reader follows an organisation's feed as a client does that stores nothing but the id of the last event.
type reader struct {
	i    *installation
	who  models.Party
	urls []string // of the API's replicas

	mu   sync.Mutex
	last string
	seen []string // ids, in the order in which they came
}

type event struct {
	ID, Type, ResourceInstance string
}

func (r *reader) take(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.seen = e.ID, append(r.seen, e.ID)
}

func (r *reader) at() (last string, seen int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, len(r.seen)
}

// poll asks once, at whatever replica, and deals with a part of the answer before it is killed.
func (r *reader) poll(ctx context.Context, wait int) error {
	last, _ := r.at()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		fmt.Sprintf("%s/events/api/v1/events?wait=%d&size=%d&after=%s", r.urls[rand.IntN(len(r.urls))], wait, 1+rand.IntN(9), last), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+r.i.as(r.who).Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", response.Status)
	}
	var events []event
	if err := json.NewDecoder(response.Body).Decode(&events); err != nil {
		return err
	}
	for _, e := range events[:len(events)-rand.IntN(len(events)+1)] {
		r.take(e)
	}
	return nil
}

// listen takes a stream until it ends or a second is over.
func (r *reader) listen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.urls[rand.IntN(len(r.urls))]+"/events/api/v1/events", nil)
	if err != nil {
		return err
	}
	last, _ := r.at()
	request.Header.Set("Authorization", "Bearer "+r.i.as(r.who).Token)
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Last-Event-ID", last)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", response.Status)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var e event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return err // cut in the middle: it was not delivered
			}
			r.take(e)
		}
	}
	return lines.Err()
}

func (r *reader) follow(ctx context.Context) {
	for ctx.Err() == nil {
		var err error
		if rand.IntN(2) == 0 {
			err = r.listen(ctx)
		} else {
			err = r.poll(ctx, 1)
		}
		if err != nil { // whoever was killed comes back
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

// A reader that stores the last id sees every event once and in order, whatever is killed meanwhile: two replicas of the
// API, the worker, the database.
func TestFeed_TellsEveryEventOnceWhateverIsKilled(t *testing.T) {
	t.Parallel()
	i := install(t)
	port, err := testenv.FreePort()
	require.NoError(t, err)
	second := *i
	second.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	second.env = append([]string{}, i.env...)
	second.env[0] = "FORMIDLING_LISTEN=" + strings.TrimPrefix(second.url, "http://")
	second.startAPI()
	testenv.Answers(t, second.url+"/readyz")

	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	var readers []*reader
	for _, who := range append(testRecipients[:len(testRecipients):len(testRecipients)], testSender) {
		r := &reader{i: i, who: who, urls: []string{i.url, second.url}}
		readers = append(readers, r)
		following.Go(func() { r.follow(ctx) })
	}
	var sending sync.WaitGroup
	for range 2 {
		sending.Go(func() {
			for n := range 6 {
				i.sendWhateverHappens(fmt.Sprintf("%d-%d", n, rand.Int64()))
			}
		})
	}
	kills := []func(){
		func() { second.api.Kill(); second.startAPI() },
		func() { i.worker.Kill(); i.startWorker() },
		func() { second.api.Terminate(); require.Zero(t, second.api.Wait()); second.startAPI() },
		func() { i.postgres.Kill(); require.NoError(t, i.postgres.Start()) },
	}
	for _, kill := range kills {
		kill()
		testenv.Answers(t, second.url+"/readyz")
	}
	sending.Wait()
	for _, r := range readers {
		want := i.allEvents(r.who)
		require.NotEmpty(t, want)
		require.Eventually(t, func() bool { _, n := r.at(); return n >= len(want) }, 60*time.Second, 50*time.Millisecond)
	}
	stop()
	following.Wait()
	for _, r := range readers {
		require.Equal(t, i.allEvents(r.who), r.seen)
	}
}

// sendWhateverHappens publishes a transfer, with one key for as often as it takes.
func (i *installation) sendWhateverHappens(key string) {
	var out struct{ FileTransferID string }
	require.Eventually(i.t, func() bool {
		status, raw, err := i.try(testSender, "POST", "/filetransfer", strings.NewReader(i.draft()), "Idempotency-Key", key)
		return err == nil && status == http.StatusOK && json.Unmarshal(raw, &out) == nil
	}, 60*time.Second, 100*time.Millisecond)
	require.Eventually(i.t, func() bool {
		status, _, err := i.try(testSender, "POST", "/filetransfer/"+out.FileTransferID+"/upload", strings.NewReader("content"), "Content-Type", octets)
		return err == nil && (status == http.StatusOK || status == http.StatusConflict)
	}, 60*time.Second, 100*time.Millisecond)
	require.Eventually(i.t, func() bool {
		status, raw, err := i.try(testSender, "GET", "/filetransfer/"+out.FileTransferID, nil)
		return err == nil && status == http.StatusOK && strings.Contains(string(raw), `"fileTransferStatus":"Published"`)
	}, 60*time.Second, 100*time.Millisecond)
}

// allEvents are the ids of an organisation's feed.
func (i *installation) allEvents(who models.Party) (ids []string) {
	i.t.Helper()
	r, err := http.NewRequestWithContext(i.t.Context(), http.MethodGet, i.url+"/events/api/v1/events?size=1000", nil)
	require.NoError(i.t, err)
	r.Header.Set("Authorization", "Bearer "+i.as(who).Token)
	response, err := http.DefaultClient.Do(r)
	require.NoError(i.t, err)
	defer func() { _ = response.Body.Close() }()
	var events []event
	require.NoError(i.t, json.NewDecoder(response.Body).Decode(&events))
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

// listening waits until an API listens to what others write.
func (i *installation) listening() {
	i.t.Helper()
	db, err := sql.Open("pgx", i.postgres.URL("postgres"))
	require.NoError(i.t, err)
	defer func() { require.NoError(i.t, db.Close()) }()
	require.Eventually(i.t, func() bool {
		var n int
		err := db.QueryRowContext(i.t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'").Scan(&n)
		return err == nil && n > 0
	}, 30*time.Second, 20*time.Millisecond)
}

// Who waits at an API learns of what a worker, another process, wrote: also when the database was down meanwhile.
func TestFeed_WakesWhoWaitsInAnotherProcess(t *testing.T) {
	t.Parallel()
	i := install(t)
	for _, outage := range []bool{false, true} {
		id := i.initialize()
		r := &reader{i: i, who: testRecipients[0], urls: []string{i.url}}
		if all := i.allEvents(r.who); len(all) > 0 {
			r.last = all[len(all)-1]
		}
		heard := make(chan time.Time, 1)
		go func() {
			for { // at least one of them is dealt with
				err := r.poll(t.Context(), 60)
				if _, n := r.at(); n > 0 || err != nil {
					heard <- time.Now()
					return
				}
			}
		}()
		i.listening()
		if outage {
			i.postgres.Kill()
			require.NoError(t, i.postgres.Start())
			testenv.Answers(t, i.url+"/readyz")
			i.listening()
		}
		status, raw := i.ask(testSender, "POST", "/filetransfer/"+id+"/upload", strings.NewReader("content"), "Content-Type", octets)
		require.Equal(t, http.StatusOK, status, string(raw))
		accepted := time.Now()
		require.WithinDuration(t, accepted, <-heard, 5*time.Second, "sooner than by asking from time to time")
		_, n := r.at()
		require.NotZero(t, n)
	}

	// who still listens when the process is asked to stop is let go in good order
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.url+"/events/api/v1/events", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+i.as(testStranger).Token)
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	began := time.Now()
	i.api.Terminate()
	rest, err := io.ReadAll(response.Body)
	require.NoError(t, err, "the stream ended, and was not broken off")
	require.Equal(t, "retry: 2000\n\n", string(rest))
	require.Zero(t, i.api.Wait())
	require.Less(t, time.Since(began), 10*time.Second)
}
