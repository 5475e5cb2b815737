package workflows_test

import (
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/formidling/formidling/activities"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/workflows"
)

// some more than one delivery group takes: the second has a single member, who is the last one.
const some, lastOne = models.GroupSize + 1, models.GroupSize

// groupLives are the paths of a transfer with delivery groups, and of those.
var groupLives = []life{
	{"grouped", some, func(k *take) {
		k.completes(0)
		k.published()
		require.NoError(k.t, k.confirms(lastOne, 2))
		require.NoError(k.t, k.confirms(0, 1))
		k.ends("Purged")
		k.groupsEnd()
	}},
	{"grouped-and-continued", some, func(k *take) {
		k.completes(0)
		k.published()
		k.continues(func(int) { k.signal(k.attempt) })
		require.NoError(k.t, k.confirms(lastOne, 2))
		require.NoError(k.t, k.confirms(0, 1))
		k.ends("Purged")
		k.groupsEnd()
	}},
	{"grouped-and-cancelled", some, func(k *take) {
		k.published()
		require.NoError(k.t, k.cancels())
		k.ends("Cancelled")
		k.groupsEnd()
	}},
	{"grouped-and-cancelled-while-delivering", some, func(k *take) {
		cancelled := make(chan struct{})
		k.deliver = func(int) error { k.wait(cancelled); return models.ErrAlreadyUploaded }
		k.begin()
		k.signal(k.attempt)
		k.eventually(func() bool { return len(k.made()) == 3 }) // both groups are at it
		require.NoError(k.t, k.cancels())
		close(cancelled)
		k.ends("Cancelled")
		k.groupsEnd()
	}},
	{"grouped-and-adopted", some, func(k *take) {
		k.deliver = func(int) error { return models.ErrAlreadyUploaded }
		k.begin()
		k.signal(k.attempt)
		k.ends("Cancelled")
		k.groupsEnd()
	}},
	{"group-alone", 1, func(k *take) { // its transfer is gone
		k.startsGroup()
		require.NoError(k.t, k.temporal.GetWorkflow(k.within(), workflows.GroupID(k.sub.ID, 1), "").Get(k.within(), nil))
		k.keep(k.name, workflows.GroupID(k.sub.ID, 1))
	}},
	{"group-confirmation-refused", some, func(k *take) {
		refused := false
		k.confirm = func(models.Party) (bool, error) {
			if !refused {
				refused = true
				return false, models.ErrNotDownloaded
			}
			return true, nil
		}
		k.published()
		require.ErrorIs(k.t, k.confirms(lastOne, 2), models.ErrNotDownloaded)
		require.NoError(k.t, k.confirms(0, 1))
		k.ends("Purged")
		k.groupsEnd()
	}},
	{"broken-group", 1, func(k *take) {
		k.deliver = func(int) error { return errBroken }
		k.startsGroup()
		k.breaks(workflows.GroupID(k.sub.ID, 1))
	}},
}

// completes makes one recipient's confirmation the last one.
func (k *take) completes(n int) {
	k.confirm = func(p models.Party) (bool, error) { return p == k.party(n), nil }
}

// groupsEnd waits for the end of both groups and keeps their histories.
func (k *take) groupsEnd() {
	k.t.Helper()
	for n, name := range []string{"-group-1", "-group-2"} {
		id := workflows.GroupID(k.sub.ID, n+1)
		require.NoError(k.t, k.temporal.GetWorkflow(k.within(), id, "").Get(k.within(), nil))
		k.keep(k.name+name, id)
	}
}

func (k *take) startsGroup() {
	k.t.Helper()
	o := client.StartWorkflowOptions{ID: workflows.GroupID(k.sub.ID, 1), TaskQueue: workflows.QueueTransfers}
	in := workflows.GroupInput{Transfer: k.sub.ID, Attempt: k.attempt, Group: 1, Size: 1}
	_, err := k.temporal.ExecuteWorkflow(k.t.Context(), o, workflows.DeliveryGroup, in)
	require.NoError(k.t, err)
}

// otherLives are the paths of subscriptions and of the log of receipts.
var otherLives = []life{
	{"subscription", 0, func(k *take) {
		s := k.subscribes(1)
		s.n.Status = models.SubscriptionUnvalidated
		tries := 0
		s.answer = func(string) models.Answer { // the validation fails once, and so does the second event
			if tries++; tries == 1 || tries == 4 {
				return broken
			}
			return accepted
		}
		s.happen(2)
		s.wakes()
		s.reaches(2)
		s.rests()
		s.set(func() { s.answer = func(string) models.Answer { return broken } })
		s.happen(1)
		s.wakes()
		s.fails()
		_, err := k.door.TestSubscription(k.t.Context(), 1, uuid.New())
		require.NoError(k.t, err)
		s.set(func() { s.answer = func(string) models.Answer { return accepted } })
		s.wakes() // while its push waits for the next attempt
		s.reaches(3)
		s.rests()
		s.ends()
	}},
	{"subscription-disabled", 0, func(k *take) {
		s := k.subscribes(2)
		s.answer = func(string) models.Answer { return models.Answer{Status: 410, Fault: "It answered 410.", Gone: true} }
		s.happen(1)
		s.wakes()
		s.fails()
		s.rests()
		s.set(func() {
			s.n.Status, s.n.FailingSince = models.SubscriptionActive, nil
			s.answer = func(string) models.Answer { return accepted }
		})
		s.wakes()
		s.reaches(1)
		s.rests()
		s.ends()
	}},
	{"subscription-continued", 0, func(k *take) {
		s := k.subscribes(3)
		for n := int64(1); n <= suggestedAfter/5; n++ {
			s.happen(1)
			s.wakes()
			s.reaches(n)
			s.rests()
		}
		s.ends()
		require.FileExists(k.t, k.dir+"/subscription-continued-run-2.json")
	}},
	{"subscription-cancelled", 0, func(k *take) {
		s := k.subscribes(4)
		s.wakes()
		s.rests()
		require.NoError(k.t, k.temporal.CancelWorkflow(k.t.Context(), workflows.SubscriptionID(4), ""))
		s.wakes()
		k.breaks(workflows.SubscriptionID(4))
	}},
	{"subscription-cancelled-while-pushing", 0, func(k *take) {
		s := k.subscribes(5)
		s.answer = func(string) models.Answer { return broken }
		s.happen(1)
		s.wakes()
		s.fails()
		require.NoError(k.t, k.temporal.CancelWorkflow(k.t.Context(), workflows.SubscriptionID(5), ""))
		k.breaks(workflows.SubscriptionID(5))
	}},
	{"sealed", 0, func(k *take) { k.seals(&counting{}); k.keepSealed(nil) }},
	{"broken-seal", 0, func(k *take) { k.seals(&counting{broken: errBroken}); k.keepSealed(errBroken) }},
}

// subscribed is a subscription that is recorded.
type subscribing struct {
	*book
	k  *take
	id int64
}

// subscribes has the worker push the events of a book.
func (k *take) subscribes(id int64) *subscribing {
	b := &book{now: time.Now, n: models.Subscription{ID: id, Party: alice, Status: models.SubscriptionActive}}
	b.answer = func(string) models.Answer { return accepted }
	k.stop()
	k.hooks = activities.NewWebhooks(b, b, b, "https://broker.example", time.Now)
	k.work(k.t)
	return &subscribing{book: b, k: k, id: id}
}

func (s *subscribing) wakes() {
	s.k.t.Helper()
	require.NoError(s.k.t, s.k.door.WakeSubscription(s.k.t.Context(), s.id))
}

// reaches waits until an event was delivered.
func (s *subscribing) reaches(cursor int64) {
	s.k.t.Helper()
	s.k.eventually(func() (yes bool) { s.set(func() { yes = s.n.Cursor >= cursor }); return yes })
}

// fails waits until an attempt has failed.
func (s *subscribing) fails() {
	s.k.t.Helper()
	s.k.eventually(func() (yes bool) { s.set(func() { yes = s.n.FailingSince != nil }); return yes })
}

// rests waits until the workflow has nothing to do.
func (s *subscribing) rests() {
	s.k.t.Helper()
	s.k.eventually(func() bool {
		d, err := s.k.temporal.DescribeWorkflowExecution(s.k.t.Context(), workflows.SubscriptionID(s.id), "")
		require.NoError(s.k.t, err)
		return len(d.GetPendingActivities()) == 0 && d.GetPendingWorkflowTask() == nil
	})
}

// ends deletes the subscription and keeps its history.
func (s *subscribing) ends() {
	s.k.t.Helper()
	s.set(func() { s.n.Status = models.SubscriptionDeleted })
	s.wakes()
	id := workflows.SubscriptionID(s.id)
	require.NoError(s.k.t, s.k.temporal.GetWorkflow(s.k.within(), id, "").Get(s.k.within(), nil))
	s.k.keep(s.k.name, id)
}

// seals has the worker seal the log of receipts with a fake.
func (k *take) seals(c *counting) {
	k.t.Helper()
	k.stop()
	k.acts = activities.WithReceipts(activities.New(nil, nil, nil, 0), c, c)
	k.work(k.t)
	o := client.StartWorkflowOptions{ID: k.name, TaskQueue: workflows.QueueTransfers}
	_, err := k.temporal.ExecuteWorkflow(k.t.Context(), o, workflows.SealReceipts)
	require.NoError(k.t, err)
}

func (k *take) keepSealed(want error) {
	k.t.Helper()
	err := k.temporal.GetWorkflow(k.within(), k.name, "").Get(k.within(), nil)
	require.Equal(k.t, want == nil, err == nil)
	k.keep(k.name, k.name)
}
