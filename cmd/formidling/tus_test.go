package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/plainclient"
	"github.com/formidling/formidling/internal/testenv"
)

// replicas are API processes over the same database and objects, spoken to in turn, as behind a round-robin.
type replicas struct {
	*installation
	mu    sync.Mutex
	turn  int
	at    []*plainclient.Client
	procs []*testenv.Running
	envs  [][]string
}

// replicate starts a second API beside the installation's.
func (i *installation) replicate() *replicas {
	i.t.Helper()
	port, err := testenv.FreePort()
	require.NoError(i.t, err)
	second := append(append([]string{}, i.env...), fmt.Sprintf("FORMIDLING_LISTEN=127.0.0.1:%d", port))
	r := &replicas{installation: i, envs: [][]string{i.env, second}, procs: []*testenv.Running{i.api, nil}}
	r.at = []*plainclient.Client{i.as(testSender), i.as(testSender)}
	r.at[1].Base = fmt.Sprintf("http://127.0.0.1:%d/broker/api/v1", port)
	r.restart(1)
	return r
}

func (r *replicas) restart(n int) {
	r.t.Helper()
	r.procs[n] = testenv.Run(r.t, "formidling", r.envs[n], "api")
	testenv.Answers(r.t, strings.TrimSuffix(r.at[n].Base, "/broker/api/v1")+"/readyz")
}

// next is the client of the replica whose turn it is.
func (r *replicas) next() *plainclient.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn++
	return r.at[r.turn%len(r.at)]
}

// tus makes a request of the protocol to a replica; headers come in pairs.
func (r *replicas) tus(c *plainclient.Client, method, path string, body io.Reader, headers ...string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(r.t.Context(), method, c.Base+path, body)
	require.NoError(r.t, err)
	q.Header.Set("Authorization", "Bearer "+c.Token)
	q.Header.Set("Tus-Resumable", "1.0.0")
	if body != nil {
		q.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	for n := 0; n < len(headers); n += 2 {
		q.Header.Set(headers[n], headers[n+1])
	}
	answer, err := http.DefaultClient.Do(q)
	if err == nil {
		raw, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		answer.Body = io.NopCloser(bytes.NewReader(raw))
	}
	return answer, err
}

// open opens an upload and returns its path below the API's.
func (r *replicas) open(id string, headers ...string) string {
	r.t.Helper()
	a, err := r.tus(r.next(), "POST", "/filetransfer/upload/tus/"+id, nil, headers...)
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusCreated, a.StatusCode, body(a))
	return strings.TrimPrefix(a.Header.Get("Location"), "/broker/api/v1")
}

func body(a *http.Response) string { raw, _ := io.ReadAll(a.Body); return string(raw) }

// offset asks whichever replica answers.
func (r *replicas) offset(path string) int {
	r.t.Helper()
	at := -1
	require.Eventually(r.t, func() bool {
		a, err := r.tus(r.next(), "HEAD", path, nil)
		if err != nil || a.StatusCode != http.StatusOK {
			return false
		}
		at, err = strconv.Atoi(a.Header.Get("Upload-Offset"))
		return err == nil
	}, 30*time.Second, 100*time.Millisecond)
	return at
}

// send uploads content in chunks, to a replica after the other, and goes on wherever the upload stands after a failure.
// It requires that no acknowledged byte is ever asked for again.
func (r *replicas) send(path string, content []byte, chunk int) {
	acknowledged := 0
	for at := 0; at < len(content); {
		end := min(len(content), at+chunk)
		a, err := r.tus(r.next(), "PATCH", path, bytes.NewReader(content[at:end]), "Upload-Offset", strconv.Itoa(at))
		if err == nil && a.StatusCode == http.StatusNoContent {
			at = end
			acknowledged = end
			continue
		}
		if err == nil && a.StatusCode < 500 && a.StatusCode != http.StatusConflict {
			r.t.Errorf("PATCH answered %d: %s", a.StatusCode, body(a))
			return
		}
		if at = r.offset(path); at < acknowledged {
			r.t.Errorf("offset %d, and %d bytes were acknowledged", at, acknowledged)
			return
		}
	}
}

func random(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(out)
	return out
}

// The life of a file that is uploaded to two replicas, on both kinds of storage: in one upload while replicas are
// killed, and in parallel parts.
func TestTus_TwoReplicasShareAnUpload(t *testing.T) {
	t.Parallel()
	for name, objects := range map[string]func(i string) []string{
		"cloud storage": func(string) []string { return nil },
		"local disk":    func(dir string) []string { return []string{"OBJECTS=" + dir} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := installWith(t, objects(t.TempDir())...)
			i.makeService()
			r := i.replicate()
			content := random(37<<20 + 11)

			id := i.initialize()
			path := r.open(id, "Upload-Length", strconv.Itoa(len(content)))
			done := make(chan struct{})
			go func() { defer close(done); r.send(path, content, 5<<20) }()
			for n := range 4 {
				require.Eventually(t, func() bool { return i.reached(r, path, (n+1)*len(content)/6) }, time.Minute, 20*time.Millisecond)
				r.procs[n%2].Kill()
				r.restart(n % 2)
			}
			<-done
			require.Equal(t, len(content), r.offset(path))
			i.becomes(id, "Published")
			i.deliver(id, string(content))

			id = i.initialize()
			var parts []string
			var all sync.WaitGroup
			const count = 4
			for n := range count {
				from, to := n*len(content)/count, (n+1)*len(content)/count
				part := r.open(id, "Upload-Concat", "partial", "Upload-Length", strconv.Itoa(to-from))
				parts = append(parts, r.next().Base+part)
				all.Go(func() { r.send(part, content[from:to], 3<<20) })
			}
			all.Wait()
			path = r.open(id, "Upload-Concat", "final;"+strings.Join(parts, " "))
			require.Equal(t, len(content), r.offset(path))
			require.Equal(t, "Published", i.status(id))
			i.deliver(id, string(content))
			i.becomes(id, "Purged")
		})
	}
}

// reached tells that an upload stands at so many bytes, or that nobody can say now.
func (i *installation) reached(r *replicas, path string, bytes int) bool {
	a, err := r.tus(r.next(), "HEAD", path, nil)
	if err != nil || a.StatusCode != http.StatusOK {
		return false
	}
	at, err := strconv.Atoi(a.Header.Get("Upload-Offset"))
	return err == nil && at >= bytes
}
