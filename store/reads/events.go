package reads

import (
	"context"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// EventsFor is EventsAfter for a caller: a supplier sees of its principal's events those alone that are of a service and
// a role in which it may look at transfers, and none of its principal's subscriptions, which are not for it.
func (s *Reads) EventsFor(ctx context.Context, by models.Caller, afterSeq int64, filter models.EventFilter, limit int) ([]models.Event, error) {
	if by.Supplier == "" {
		return s.feed.EventsAfter(ctx, by.Party, afterSeq, filter, limit)
	}
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	sights, err := s.sights(ctx, by)
	if err != nil {
		return nil, err
	}
	filter.Sights, filter.Without = sights, models.EventSubscriptionDisabled
	return s.feed.EventsAfter(ctx, by.Party, afterSeq, filter, limit)
}

// resourcesOfFeed steps from one service to the next in the index, however many events each has.
const resourcesOfFeed = `
WITH RECURSIVE step(id) AS (
	SELECT min(resource_id) FROM events WHERE party = @party
	UNION ALL
	SELECT (SELECT min(resource_id) FROM events WHERE party = @party AND resource_id > step.id) FROM step WHERE step.id IS NOT NULL
)
SELECT id FROM step WHERE id IS NOT NULL`

// sights are the services of the party's events in which its supplier may look, and in which role; never nil.
func (s *Reads) sights(ctx context.Context, by models.Caller) ([]models.Sight, error) {
	var services []string
	err := s.db.Read(ctx).Raw(resourcesOfFeed, map[string]any{"party": by.Party}).Scan(&services).Error
	if err != nil {
		return nil, db.Unavailable("list services of events", err)
	}
	sights := []models.Sight{}
	for _, id := range services {
		roles, err := s.registry.LookAs(ctx, id, by)
		if e, refused := models.AsError(err); refused && !e.Retryable() {
			continue
		} else if err != nil {
			return nil, err
		}
		at := models.Sight{Resource: id}
		if len(roles) == 1 {
			at.Role = roles[0]
		}
		sights = append(sights, at)
	}
	return sights, nil
}
