package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/webhook"
	"github.com/formidling/formidling/worker"
	"github.com/formidling/formidling/workflows"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	owner = models.Party("0192:310000019")
	svc   = "svc"
)

// real is a broker without its API: real Temporal, real database, real files. All share the task queues,
// so these tests run one after the other.
type real struct {
	*store.Store
	temporal client.Client
	door     *workflows.Client
	objects  objects.Store
	stop     func()
	acts     *activities.Activities
	hooks    *activities.Webhooks
	keys     *webhook.Keys
}

func setupReal(t *testing.T, o client.Options) *real {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open("sqlite:"+filepath.Join(dir, "test.db"), store.Options{})
	require.NoError(t, err)
	require.NoError(t, s.Migrate(t.Context()))
	files, err := objects.Connect(t.Context(), filepath.Join(dir, "objects"), objects.Options{})
	require.NoError(t, err)
	o.HostPort, o.Logger = testenv.Temporal(t).Address, sdklog.NewStructuredLogger(quietLog())
	c, err := client.Dial(o)
	require.NoError(t, err)
	r := &real{Store: s, temporal: c, door: workflows.NewClient(c), objects: files, acts: receipted(t, s, files)}
	r.prepareWebhooks(t)
	t.Cleanup(func() {
		r.stop()
		c.Close()
		require.NoError(t, s.Close())
	})
	r.work(t)
	require.NoError(t, s.InsertServiceOwner(t.Context(), models.Caller{Party: owner}, "owner"))
	none := "PT0S"
	_, err = s.PutResource(t.Context(), models.Caller{Party: owner}, svc, models.ResourcePatch{Grace: &none}, models.Condition{Unconditional: true})
	require.NoError(t, err)
	grant(t, s, alice, models.Terms{MaySend: true})
	return r
}

// grant lets an organisation use the service.
func grant(t *testing.T, s *store.Store, p models.Party, terms models.Terms) {
	t.Helper()
	terms.Effect = models.EffectAllow
	g := models.Grant{ResourceID: svc, Organisation: p, Terms: terms}
	_, _, err := s.PutGrant(t.Context(), models.Caller{Party: owner}, g, models.Condition{Unconditional: true})
	require.NoError(t, err)
}

func (r *real) work(t *testing.T) {
	t.Helper()
	pair := worker.New(r.temporal, r.acts, worker.Options{StopTimeout: time.Second, Webhooks: r.hooks})
	require.NoError(t, pair.Start())
	r.stop = pair.Stop
}

func (r *real) submission(t *testing.T, recipients ...models.Party) models.Submission {
	t.Helper()
	s := models.Submission{
		ID: uuid.New(), ResourceID: svc, Sender: models.Addressee{Party: alice, AsGiven: string(alice)},
		FileName: "secret-name.zip", SendersReference: "secret-reference", RequestHash: "hash",
		PropertyList: map[string]string{"k": "secret-property"},
	}
	for _, p := range recipients {
		grant(t, r.Store, p, models.Terms{MayReceive: true})
		s.Recipients = append(s.Recipients, models.Addressee{Party: p, AsGiven: string(p)})
	}
	return s
}

// stage stores bytes as the API does.
func (r *real) stage(t *testing.T, id uuid.UUID) uuid.UUID {
	t.Helper()
	attempt := uuid.New()
	key := models.AttemptKey(id, attempt)
	require.NoError(t, r.BeginUpload(t.Context(), models.UploadAttempt{ID: attempt, TransferID: &id, ObjectKey: key}, time.Minute))
	c, err := r.objects.Put(t.Context(), key, strings.NewReader("content"), 100)
	require.NoError(t, err)
	require.NoError(t, r.StageContent(t.Context(), id, attempt, c, models.Caller{Party: alice}))
	return attempt
}

func (r *real) publish(t *testing.T, recipients ...models.Party) models.Submission {
	t.Helper()
	s := r.submission(t, recipients...)
	_, err := r.door.Initialize(t.Context(), s)
	require.NoError(t, err)
	status, err := r.door.ContentReceived(t.Context(), s.ID, r.stage(t, s.ID))
	require.NoError(t, err)
	require.Equal(t, models.TransferPublished, status)
	return s
}

func (r *real) confirm(t *testing.T, s models.Submission, p models.Party) error {
	t.Helper()
	v, err := r.TransferFor(t.Context(), s.ID, p)
	require.NoError(t, err)
	if _, err := r.BeginAccess(t.Context(), s.ID, models.Caller{Party: p}, 0, 1); err != nil {
		return err
	}
	return r.door.Confirm(t.Context(), s.ID, v.Recipients[0].GroupNo, p)
}

// ended waits for the workflow's end and returns its result and history.
func (r *real) ended(t *testing.T, workflowID string) (workflows.TransferResult, *historypb.History) {
	t.Helper()
	var out workflows.TransferResult
	require.NoError(t, r.temporal.GetWorkflow(t.Context(), workflowID, "").Get(t.Context(), &out))
	return out, r.history(t, workflowID)
}

func (r *real) history(t *testing.T, workflowID string) *historypb.History {
	t.Helper()
	return r.historyOf(t, workflowID, "")
}

// historyOf is the history of one run; of the last one when run is empty.
func (r *real) historyOf(t *testing.T, workflowID, run string) *historypb.History {
	t.Helper()
	h := &historypb.History{}
	events := r.temporal.GetWorkflowHistory(t.Context(), workflowID, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(t, err)
		h.Events = append(h.Events, e)
	}
	return h
}

// ADR 2 (docs/adr): the whole life of a transfer to one recipient, everything on.
func TestTransfer_LivesInAtMost27Events(t *testing.T) {
	r := setupReal(t, client.Options{})
	s := r.publish(t, bob)
	require.NoError(t, r.confirm(t, s, bob))
	out, h := r.ended(t, workflows.TransferID(s.ID))
	require.Equal(t, "Purged", out.Status)
	var names []string
	for _, e := range h.Events {
		names = append(names, strings.TrimPrefix(e.GetEventType().String(), "EVENT_TYPE_"))
	}
	t.Logf("%d events", len(names))
	require.LessOrEqual(t, len(names), 27, strings.Join(names, "\n"))
}

func TestTransfer_LeavesNoEventForARefusedMessage(t *testing.T) {
	r := setupReal(t, client.Options{})
	s := r.submission(t, bob)
	_, err := r.door.Initialize(t.Context(), s)
	require.NoError(t, err)
	before := len(r.history(t, workflows.TransferID(s.ID)).Events)
	require.ErrorIs(t, r.door.Confirm(t.Context(), s.ID, 0, bob), models.ErrNotPublished)
	require.Len(t, r.history(t, workflows.TransferID(s.ID)).Events, before)
	require.NoError(t, r.door.Cancel(t.Context(), s.ID))
	require.ErrorIs(t, r.door.Confirm(t.Context(), s.ID, 0, bob), models.ErrNotPublished, "also after the workflow has ended")
}

func TestClient_GivesTheSameAnswerToTheSameSubmission(t *testing.T) {
	r := setupReal(t, client.Options{})
	s := r.submission(t, bob)
	for range 3 {
		duplicate, err := r.door.Initialize(t.Context(), s)
		require.NoError(t, err)
		require.False(t, duplicate)
	}
	other := s
	other.RequestHash = "other"
	_, err := r.door.Initialize(t.Context(), other)
	require.ErrorIs(t, err, models.ErrKeyReused)
	require.NoError(t, r.door.Cancel(t.Context(), s.ID))
	r.ended(t, workflows.TransferID(s.ID))
	duplicate, err := r.door.Initialize(t.Context(), s)
	require.NoError(t, err)
	require.True(t, duplicate, "the database remembers when the workflow has ended")
}

func TestClient_TellsWhyATransferWasRefused(t *testing.T) {
	r := setupReal(t, client.Options{})
	s := r.submission(t, bob)
	require.NoError(t, r.DeleteGrant(t.Context(), models.Caller{Party: owner}, svc, bob, models.Condition{Unconditional: true}))
	_, err := r.door.Initialize(t.Context(), s)
	require.ErrorIs(t, err, models.ErrRecipientWithoutRight)
	out, _ := r.ended(t, workflows.TransferID(s.ID))
	require.Equal(t, "Refused", out.Status)
	grant(t, r.Store, bob, models.Terms{MayReceive: true})
	_, err = r.door.Initialize(t.Context(), s)
	require.NoError(t, err, "what was refused may be tried again")
}

func TestClient_LeavesContentWithTemporalWhenNoWorkerAnswers(t *testing.T) {
	r := setupReal(t, client.Options{})
	s := r.submission(t, bob)
	_, err := r.door.Initialize(t.Context(), s)
	require.NoError(t, err)
	attempt := r.stage(t, s.ID)
	r.stop()
	status, err := r.door.ContentReceived(t.Context(), s.ID, attempt)
	require.NoError(t, err)
	require.Equal(t, models.TransferUploadProcessing, status)
	r.work(t)
	require.Eventually(t, func() bool {
		v, err := r.TransferFor(t.Context(), s.ID, alice)
		return err == nil && v.Status == models.TransferPublished
	}, 20*time.Second, 20*time.Millisecond)
}

func TestClient_SaysUnavailableAtOnceWithoutTemporal(t *testing.T) {
	t.Parallel()
	c, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1", Logger: sdklog.NewStructuredLogger(quietLog())})
	require.NoError(t, err)
	defer c.Close()
	door := workflows.NewClient(c)
	began := time.Now()
	_, err = door.Initialize(t.Context(), models.Submission{ID: uuid.New(), Sender: models.Addressee{Party: alice}})
	require.ErrorIs(t, err, models.ErrUnavailable)
	require.ErrorIs(t, door.Ready(t.Context()), models.ErrUnavailable)
	require.Less(t, time.Since(began), 12*time.Second)
}

func TestTransfer_ServesManyRecipientsThroughGroups(t *testing.T) {
	r := setupReal(t, client.Options{})
	many := parties('4', 150)
	s := r.publish(t, many...)
	for _, p := range many {
		require.NoError(t, r.confirm(t, s, p))
	}
	out, h := r.ended(t, workflows.TransferID(s.ID))
	require.Equal(t, "Purged", out.Status)
	require.Less(t, len(h.Events), 100)
	for n := 1; n <= models.Groups(len(many)); n++ {
		require.NoError(t, r.temporal.GetWorkflow(t.Context(), workflows.GroupID(s.ID, n), "").Get(t.Context(), nil))
	}
}

func TestTransfer_EndsItsGroupsWhenItIsCancelled(t *testing.T) {
	r := setupReal(t, client.Options{})
	many := parties('5', 101)
	s := r.publish(t, many...)
	require.NoError(t, r.door.Cancel(t.Context(), s.ID))
	r.ended(t, workflows.TransferID(s.ID))
	for n := 1; n <= 2; n++ {
		require.NoError(t, r.temporal.GetWorkflow(t.Context(), workflows.GroupID(s.ID, n), "").Get(t.Context(), nil))
	}
	_, err := r.objects.Stat(t.Context(), models.TransferPrefix(s.ID))
	require.ErrorIs(t, err, models.ErrObjectNotFound)
}

func TestTransfer_FindsACancellationThroughItsGroups(t *testing.T) {
	r := setupReal(t, client.Options{})
	s := r.submission(t, parties('6', 101)...)
	_, err := r.door.Initialize(t.Context(), s)
	require.NoError(t, err)
	attempt := r.stage(t, s.ID)
	require.NoError(t, r.CancelTransfer(t.Context(), s.ID), "an update that Temporal and the worker forgot together")
	_, err = r.door.ContentReceived(t.Context(), s.ID, attempt)
	require.ErrorIs(t, err, models.ErrAlreadyUploaded)
	out, _ := r.ended(t, workflows.TransferID(s.ID))
	require.Equal(t, "Cancelled", out.Status)
}

// parties are n organisations whose numbers begin with a digit of their own.
func parties(digit byte, n int) []models.Party {
	out := make([]models.Party, n)
	for i := range out {
		out[i] = models.Party(fmt.Sprintf("0192:%c%08d", digit, i))
	}
	return out
}

// Invariant 20: nobody reads the sender's words in what Temporal stores.
func TestEncryption_HidesTheSendersWords(t *testing.T) {
	codec, err := workflows.NewEncryption("k1:" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	require.NoError(t, err)
	dc := converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), codec)
	r := setupReal(t, client.Options{
		DataConverter:    dc,
		FailureConverter: temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: dc, EncodeCommonAttributes: true}),
	})
	s := r.publish(t, bob)
	require.NoError(t, r.confirm(t, s, bob))
	_, h := r.ended(t, workflows.TransferID(s.ID))
	require.NotContains(t, h.String(), "secret")
	refused := r.submission(t, carol)
	require.NoError(t, r.DeleteGrant(t.Context(), models.Caller{Party: owner}, svc, carol, models.Condition{Unconditional: true}))
	_, err = r.door.Initialize(t.Context(), refused)
	require.ErrorIs(t, err, models.ErrRecipientWithoutRight, "errors come through encrypted")
	require.NotContains(t, r.history(t, workflows.TransferID(refused.ID)).String(), "secret")
}

func TestEncryption_ReadsOldKeysAndRefusesOthers(t *testing.T) {
	t.Parallel()
	const one, two = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	old, err := workflows.NewEncryption(one)
	require.NoError(t, err)
	both, err := workflows.NewEncryption(two + "," + one)
	require.NoError(t, err)
	payload, err := converter.GetDefaultDataConverter().ToPayloads("secret")
	require.NoError(t, err)
	sealed, err := old.Encode(payload.Payloads)
	require.NoError(t, err)
	opened, err := both.Decode(sealed)
	require.NoError(t, err)
	require.Equal(t, payload.Payloads[0].GetData(), opened[0].GetData())
	sealed, err = both.Encode(payload.Payloads)
	require.NoError(t, err)
	_, err = old.Decode(sealed)
	require.Error(t, err)
	sealed[0].Data[20] ^= 1
	_, err = both.Decode(sealed)
	require.Error(t, err, "changed bytes are noticed")
	for _, bad := range []string{"", "1", "1:AAAA", ":" + one[2:], "1:!"} {
		_, err := workflows.NewEncryption(bad)
		require.Error(t, err, bad)
	}
}

func TestRefusals_ComeThroughTemporalWhole(t *testing.T) {
	t.Parallel()
	limit := models.ErrFileTooLarge.Exceeded(5, 6)
	back := activities.FromTemporal(activities.Refusal(limit))
	require.Equal(t, limit, back)
	plain := errors.New("down")
	require.Equal(t, plain, activities.FromTemporal(activities.Refusal(plain)))
	require.False(t, activities.IsRefusal(activities.Refusal(models.ErrUnavailable)), "what may pass is retried")
	require.ErrorIs(t, activities.FromTemporal(context.Canceled), context.Canceled)
}
