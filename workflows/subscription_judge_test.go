package workflows_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/formidling/formidling/models"
)

// judged is a webhook as testdata/judge/judge.mjs takes it.
type judged struct {
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
	Secrets    []string          `json:"secrets"`
	PublicKeys []string          `json:"publicKeys"`
}

// verdict is what it says of one.
type verdict struct {
	Symmetric, Tampered            []string // why it was refused, for each secret; empty: it was not
	Asymmetric, TamperedAsymmetric []bool   // for each public key
	Valid                          bool
	Event                          map[string]any
}

// judge lets the npm packages standardwebhooks and cloudevents verify and parse webhooks.
func judge(t *testing.T, hooks []judged) []verdict {
	t.Helper()
	sent, err := json.Marshal(hooks)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "node", "testdata/judge/judge.mjs")
	cmd.Stdin = bytes.NewReader(sent)
	var said, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &failed
	require.NoError(t, cmd.Run(), "%s\nIs Node.js there, with the judges' packages? Run scripts/ensure-node workflows/testdata/judge", &failed)
	var out []verdict
	require.NoError(t, json.Unmarshal(said.Bytes(), &out))
	require.Len(t, out, len(hooks))
	return out
}

func TestWebhooks_AreVerifiedAndParsedByLibrariesOfOthers(t *testing.T) {
	r := setupReal(t, client.Options{})
	n, e := r.subscribed(t, alice)
	secrets := []string{r.secret(t, n.ID)}
	e.mu.Lock()
	hooks := e.got[:1:1] // the validation event
	e.mu.Unlock()

	_, sealed, err := r.keys.NewSecret(alice)
	require.NoError(t, err)
	_, err = r.RotateSubscription(t.Context(), models.Caller{Party: alice}, n.ID, sealed, time.Hour, models.Condition{Unconditional: true})
	require.NoError(t, err)
	secrets = append(secrets, r.secret(t, n.ID))
	s := r.publish(t, bob)
	require.NoError(t, r.confirm(t, s, bob))
	for hooks[len(hooks)-1].Type != models.EventPurged.FullType() {
		hooks = append(hooks, e.next(t))
	}
	_, err = r.door.TestSubscription(t.Context(), n.ID, uuid.New())
	require.NoError(t, err)
	hooks = append(hooks, e.next(t))
	require.Greater(t, len(hooks), 5)

	public := r.keys.PublicKeys()[0].Public
	asked := make([]judged, len(hooks))
	for i, h := range hooks {
		asked[i] = judged{Headers: map[string]string{}, Body: h.Body, Secrets: secrets[:min(i+1, 2)], PublicKeys: []string{public}}
		for name := range h.Header {
			asked[i].Headers[strings.ToLower(name)] = h.Header.Get(name)
		}
	}
	for i, v := range judge(t, asked) {
		for j := range v.Symmetric {
			require.Empty(t, v.Symmetric[j], "%d: each secret verifies", i)
			require.Equal(t, "No matching signature found", v.Tampered[j])
		}
		require.Equal(t, []bool{true}, v.Asymmetric)
		require.Equal(t, []bool{false}, v.TamperedAsymmetric)
		require.True(t, v.Valid)
		require.Equal(t, hooks[i].ID, v.Event["id"])
		require.Equal(t, hooks[i].Type, v.Event["type"])
		require.Equal(t, "urn:altinn:organization:identifier-no:310000027", v.Event["subject"])
		require.NotContains(t, hooks[i].Body, "secret", "no name, reference or property of the transfer")
		if i > 0 && i < len(hooks)-1 {
			require.Equal(t, s.ID.String(), v.Event["resourceinstance"])
		}
	}
}

// secret is the newest secret of a subscription of alice.
func (r *real) secret(t *testing.T, id int64) string {
	t.Helper()
	n, err := r.Subscription(t.Context(), id)
	require.NoError(t, err)
	secret, err := r.keys.Secret(alice, n.Secrets[0].Sealed)
	require.NoError(t, err)
	return secret
}
