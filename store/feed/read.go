package feed

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// maxScans bounds the index scans of one question to the feed.
const maxScans = 64

// EventsAfter returns a party's events behind a sequence number, in order, at most limit of them. Whoever continues
// behind the last one misses none and sees none twice, whatever is written meanwhile: numbers are given under a lock
// that is held until the change is committed, so no event appears behind one that was read.
func (f *Feed) EventsAfter(ctx context.Context, party models.Party, afterSeq int64, filter models.EventFilter, limit int) ([]models.Event, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	events := []models.Event{}
	if !filter.Concerns(party) || limit <= 0 || filter.Sights != nil && len(filter.Sights) == 0 {
		return events, nil
	}
	query, args := feedQuery(party, afterSeq, filter, limit)
	err := f.db.Read(ctx).Raw(query, args...).Scan(&events).Error
	return events, db.Unavailable("read events", err)
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
func (f *Feed) EventPosition(ctx context.Context, party models.Party, id uuid.UUID) (int64, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var seqs []int64
	err := f.db.Read(ctx).Model(&models.Event{}).Where("id = ? AND party = ?", id, party).Limit(1).Pluck("seq", &seqs).Error
	if err == nil && len(seqs) == 0 {
		err = models.ErrNoSuchEvent
	}
	if err != nil {
		return 0, db.Unavailable("find event", err)
	}
	return seqs[0], nil
}

// FeedHead is the number of an organisation's newest event; 0 when there is none.
func (f *Feed) FeedHead(ctx context.Context, party models.Party) (int64, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	last, err := head(f.db.Read(ctx), party)
	return last, db.Unavailable("read head of feed", err)
}

func head(g *gorm.DB, party models.Party) (int64, error) {
	var last int64
	err := g.Raw("SELECT coalesce(max(last), 0) FROM party_sequences WHERE party = ?", party).Scan(&last).Error
	return last, err
}
