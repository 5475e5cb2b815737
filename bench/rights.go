package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
)

const (
	rightsGrants   = 10_000
	rightsAsked    = 50
	rightsRepeats  = 400
	rightsSenders  = 20
	rightsRounds   = 10
	decideTarget   = 1.0 // µs, pure
	sqlTarget      = 0.5 // ms, p50 of the decision with 50 recipients
	revokeTarget   = 200 // ms, the slowest
	rightsResource = "bench-rights"
)

// rights measures the decision: the pure function, the SQL that enforces it on PostgreSQL, and a revocation that
// senders without pause try to keep waiting.
func rights(ctx context.Context, l *lab) (result, error) {
	pg, err := testenv.StartPostgres() //nolint:contextcheck // it has a limit of its own
	if err != nil {
		return result{}, err
	}
	defer pg.Stop()
	s, err := store.Open(pg.URL("postgres"), store.Options{})
	if err != nil {
		return result{}, err
	}
	defer func() { _ = s.Close() }()
	l.say("writing %d grants", rightsGrants)
	parties, err := fillRegistry(ctx, s)
	if err == nil {
		err = vacuum(ctx, pg.URL("postgres"))
	}
	if err != nil {
		return result{}, err
	}
	pure := pureDecision(parties)
	t := table{title: fmt.Sprintf("%d grants; ms", rightsGrants), columns: []string{"decision on PostgreSQL", "p50", "p95"}}
	var fifty sample
	for _, n := range []int{1, rightsAsked} {
		if fifty, err = askRights(ctx, s, parties[:n+1]); err != nil {
			return result{}, err
		}
		t.add(fmt.Sprintf("%d recipients", n), fifty.quantile(0.5), fifty.quantile(0.95))
	}
	if err = fillLists(ctx, s, parties); err == nil {
		err = vacuum(ctx, pg.URL("postgres"))
	}
	if err != nil {
		return result{}, err
	}
	listed, err := askRights(ctx, s, parties[:rightsAsked+1])
	if err != nil {
		return result{}, err
	}
	t.add(fmt.Sprintf("%d recipients, each also in 3 lists of %d members", rightsAsked, rightsGrants), listed.quantile(0.5), listed.quantile(0.95))
	revoked, err := revokeUnderLoad(ctx, s, parties)
	if err != nil {
		return result{}, err
	}
	r := result{Tables: []table{t}, Notes: []string{fmt.Sprintf("the pure decision of the same question takes %.2f µs at %d grants", pure, rightsGrants)}}
	r.Targets = []target{
		atMost(fmt.Sprintf("pure decision at %d grants", rightsGrants), pure, decideTarget, "µs"),
		atMost(fmt.Sprintf("its SQL with %d recipients, p50", rightsAsked), fifty.quantile(0.5), sqlTarget, "ms"),
		atMost(fmt.Sprintf("revocation while %d senders never pause, the slowest of %d", rightsSenders, rightsRounds), revoked.quantile(1), revokeTarget, "ms"),
	}
	return r, nil
}

var (
	always  = models.Condition{Unconditional: true}
	benchBy = models.Caller{Party: benchOwner}
)

const benchOwner = models.Party("0192:310000019")

// fillRegistry makes a service with grants for all parties.
func fillRegistry(ctx context.Context, s *store.Store) ([]models.Party, error) {
	if err := s.Migrate(ctx); err != nil {
		return nil, err
	}
	if err := s.InsertServiceOwner(ctx, benchBy, "bench"); err != nil {
		return nil, err
	}
	if _, err := s.PutResource(ctx, benchBy, rightsResource, models.ResourcePatch{}, always); err != nil {
		return nil, err
	}
	parties := make([]models.Party, rightsGrants)
	rows := make([]models.GrantChange, rightsGrants)
	for i := range parties {
		parties[i] = models.Norwegian(fmt.Sprint(800_000_000 + i))
		rows[i].Grant = models.Grant{ResourceID: rightsResource, Organisation: parties[i], Terms: models.Terms{Effect: models.EffectAllow, MaySend: true, MayReceive: true}}
	}
	for first := 0; first < len(rows); first += 1000 {
		if _, err := s.PutGrants(ctx, benchBy, rightsResource, rows[first:first+1000], true); err != nil {
			return nil, err
		}
	}
	return parties, nil
}

// fillLists makes all parties members of three lists that are connected to the service.
func fillLists(ctx context.Context, s *store.Store, parties []models.Party) error {
	members := make([]models.AccessListMember, len(parties))
	for i, p := range parties {
		members[i].Organisation = p
	}
	for _, list := range []string{"one", "two", "three"} {
		if _, _, err := s.PutAccessList(ctx, benchBy, models.AccessList{ID: list, Name: list}, always); err != nil {
			return err
		}
		if _, err := s.ChangeMembers(ctx, benchBy, list, models.MemberChange{Put: members}, always); err != nil {
			return err
		}
		n := models.AccessListConnection{ResourceID: rightsResource, ListID: list, Terms: models.Terms{Effect: models.EffectAllow, MayReceive: true}}
		if _, _, err := s.PutAccessListConnection(ctx, benchBy, n, always); err != nil {
			return err
		}
	}
	return nil
}

// pureDecision is the mean of the function alone, in µs.
func pureDecision(parties []models.Party) float64 {
	rules := make([]models.Rule, len(parties))
	for i, p := range parties {
		rules[i] = models.Rule{Organisation: p, Terms: models.Terms{Effect: models.EffectAllow, MaySend: true, MayReceive: true}}
	}
	g := models.NewRegistry(models.Resource{}, rules, nil)
	const times = 1_000_000
	q := models.Question{Action: models.ActionSend, From: parties[17], To: []models.Party{parties[len(parties)/2]}, At: time.Now()}
	began := time.Now()
	for range times {
		_ = g.Decide(q)
	}
	return float64(time.Since(began).Microseconds()) / times
}

// askRights asks the SQL of the decision again and again; the first of the parties sends to the others.
func askRights(ctx context.Context, s *store.Store, parties []models.Party) (sample, error) {
	q := models.Question{Action: models.ActionSend, From: parties[0], To: parties[1:], By: models.Caller{Party: parties[0]}}
	var took sample
	for i := range rightsRepeats + 20 {
		from := time.Now()
		findings, err := s.FindRights(ctx, rightsResource, q)
		if err != nil {
			return nil, err
		}
		if !findings.Actor || len(findings.Refused) > 0 {
			return nil, fmt.Errorf("ask for rights: refused %v", findings)
		}
		if i >= 20 { // the first ones warm
			took = append(took, millis(time.Since(from)))
		}
	}
	return took, nil
}

// revokeUnderLoad takes a sender's right away while it sends without pause, again and again.
func revokeUnderLoad(ctx context.Context, s *store.Store, parties []models.Party) (sample, error) {
	var took sample
	sender := parties[0]
	for range rightsRounds {
		g := models.Grant{ResourceID: rightsResource, Organisation: sender, Terms: models.Terms{Effect: models.EffectAllow, MaySend: true}}
		if _, _, err := s.PutGrant(ctx, benchBy, g, always); err != nil {
			return nil, err
		}
		sending, stop := context.WithCancel(ctx)
		var accepted atomic.Int64
		var wg sync.WaitGroup
		for range rightsSenders {
			wg.Go(func() {
				for sending.Err() == nil {
					sub := models.Submission{
						ID: uuid.New(), ResourceID: rightsResource, Sender: models.Addressee{Party: sender, AsGiven: string(sender)},
						Recipients: []models.Addressee{{Party: parties[1], AsGiven: string(parties[1])}}, FileName: "f", SendersReference: "r",
					}
					if _, err := s.AcceptTransfer(sending, sub, "run", time.Hour); err == nil {
						accepted.Add(1)
					}
				}
			})
		}
		err := until(ctx, time.Minute, "the senders are at it", func(context.Context) error {
			if accepted.Load() < 10*rightsSenders {
				return fmt.Errorf("%d accepted", accepted.Load())
			}
			return nil
		})
		began := time.Now()
		if err == nil {
			err = s.DeleteGrant(ctx, benchBy, rightsResource, sender, always)
		}
		took = append(took, millis(time.Since(began)))
		stop()
		wg.Wait()
		if err != nil {
			return nil, err
		}
	}
	return took, nil
}

// vacuum does what autovacuum would within a minute.
func vacuum(ctx context.Context, url string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM ANALYZE")
	return errors.Join(err, db.Close())
}
