package store

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// maxScans bounds the index scans of one question to the feed.
const maxScans = 64

// EventsAfter returns a party's events behind a sequence number, in order, at most limit of them. Whoever continues
// behind the last one misses none and sees none twice, whatever is written meanwhile: numbers are given under a lock
// that is held until the change is committed, so no event appears behind one that was read.
func (s *Store) EventsAfter(ctx context.Context, party models.Party, afterSeq int64, filter models.EventFilter, limit int) ([]models.Event, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	events := []models.Event{}
	if !filter.Concerns(party) || limit <= 0 || filter.Sights != nil && len(filter.Sights) == 0 {
		return events, nil
	}
	query, args := feedQuery(party, afterSeq, filter, limit)
	err := s.read.WithContext(ctx).Raw(query, args...).Scan(&events).Error
	return events, unavailable("read events", err)
}

// feedQuery merges one index scan for each value that is asked for: whatever the database knows about their
// frequency, it reads at most limit rows of each.
func feedQuery(party models.Party, after int64, f models.EventFilter, limit int) (query string, args []any) {
	sights := []models.Sight{{Resource: models.ResourceID(f.Resource)}}
	if f.Sights != nil {
		sights = slices.DeleteFunc(slices.Clone(f.Sights), func(at models.Sight) bool {
			return f.Resource != "" && at.Resource != models.ResourceID(f.Resource)
		})
	}
	if len(sights) == 0 {
		return "SELECT * FROM events WHERE 1 = 0", nil
	}
	var types []string
	for _, t := range f.Types {
		if short := string(models.ShortType(t)); !slices.Contains(types, short) {
			types = append(types, short)
		}
	}
	if len(sights)*max(1, len(types)) > maxScans {
		return plainFeedQuery(party, after, sights, types, f.Without, limit)
	}
	var scans []string
	for _, at := range sights {
		for _, t := range choices(types) {
			where := "party = ? AND seq > ? AND type <> ?"
			args = append(args, party, after, f.Without)
			if at.Resource != "" {
				where, args = where+" AND resource_id = ?", append(args, at.Resource)
			}
			if at.Role != "" {
				where, args = where+" AND role = ?", append(args, at.Role)
			}
			if t != nil {
				where, args = where+" AND type = ?", append(args, *t)
			}
			args = append(args, limit)
			scans = append(scans, "SELECT * FROM (SELECT * FROM events WHERE "+where+" ORDER BY seq LIMIT ?) e")
		}
	}
	if len(scans) == 1 {
		return scans[0] + " ORDER BY seq", args
	}
	return strings.Join(scans, " UNION ALL ") + " ORDER BY seq LIMIT ?", append(args, limit)
}

// plainFeedQuery leaves the choice of an index to the database, for questions with very many values.
func plainFeedQuery(party models.Party, after int64, sights []models.Sight, types []string, without models.EventType, limit int) (query string, args []any) {
	query, args = "SELECT * FROM events WHERE party = ? AND seq > ? AND type <> ?", []any{party, after, without}
	of := map[models.Role][]string{}
	for _, at := range sights {
		of[at.Role] = append(of[at.Role], at.Resource)
	}
	if len(of[""]) != 1 || of[""][0] != "" { // not of all services
		query += " AND (resource_id IN ? OR role = ? AND resource_id IN ? OR role = ? AND resource_id IN ?)"
		args = append(args, of[""], models.RoleSender, of[models.RoleSender], models.RoleRecipient, of[models.RoleRecipient])
	}
	if len(types) > 0 {
		query, args = query+" AND type IN ?", append(args, types)
	}
	return query + " ORDER BY seq LIMIT ?", append(args, limit)
}

// choices are the values to ask for; one nil stands for any.
func choices(values []string) []*string {
	if len(values) == 0 {
		return []*string{nil}
	}
	out := make([]*string, len(values))
	for i := range values {
		out[i] = &values[i]
	}
	return out
}

// EventPosition returns the sequence number of one of a party's events. models.ErrNoSuchEvent when the party was told
// of no event with that id.
func (s *Store) EventPosition(ctx context.Context, party models.Party, id uuid.UUID) (int64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var seqs []int64
	err := s.read.WithContext(ctx).Model(&models.Event{}).Where("id = ? AND party = ?", id, party).Limit(1).Pluck("seq", &seqs).Error
	if err == nil && len(seqs) == 0 {
		err = models.ErrNoSuchEvent
	}
	if err != nil {
		return 0, unavailable("find event", err)
	}
	return seqs[0], nil
}

// EventsFor is EventsAfter for a caller: a supplier sees of its principal's events those alone that are of a service and
// a role in which it may look at transfers, and none of its principal's subscriptions, which are not for it.
func (s *Store) EventsFor(ctx context.Context, by models.Caller, afterSeq int64, filter models.EventFilter, limit int) ([]models.Event, error) {
	if by.Supplier == "" {
		return s.EventsAfter(ctx, by.Party, afterSeq, filter, limit)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	sights, err := s.sights(ctx, by)
	if err != nil {
		return nil, err
	}
	filter.Sights, filter.Without = sights, models.EventSubscriptionDisabled
	return s.EventsAfter(ctx, by.Party, afterSeq, filter, limit)
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
func (s *Store) sights(ctx context.Context, by models.Caller) ([]models.Sight, error) {
	var told []string
	err := s.read.WithContext(ctx).Raw(resourcesOfFeed, map[string]any{"party": by.Party}).Scan(&told).Error
	if err != nil {
		return nil, unavailable("list services of events", err)
	}
	sights := []models.Sight{}
	for _, id := range told {
		roles, err := s.LookAs(ctx, id, by)
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
