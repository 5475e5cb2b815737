package store

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// RequestAccess keeps the caller's wish for rights in a service. models.ErrRequestPending while another one
// waits, models.ErrResourceNotConfigured for an unknown service.
func (s *Store) RequestAccess(ctx context.Context, by models.Caller, r models.AccessRequest) (models.AccessRequest, error) {
	r.Organisation, r.State = by.Party, models.RequestPending
	err := s.changeOwn(ctx, "request access", by, func(tx *gorm.DB) error {
		of, err := resource(tx, r.ResourceID)
		if err != nil {
			return err
		}
		if err := r.Check(); err != nil {
			return err
		}
		pending := tx.Model(&models.AccessRequest{}).Where("organisation = ? AND state = ?", by.Party, models.RequestPending)
		if err := underQuota(pending, "pending access requests", s.quotas.Requests, 1); err != nil {
			return err
		}
		c := models.Change{Chain: of.Owner, ResourceID: of.ID, Action: "access-request.ask", Subject: "access-request/" + r.ID.String(), After: r}
		if r.Version, err = s.record(tx, by, c); err != nil {
			return err
		}
		r.Created = s.clock()
		done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&r)
		if done.Error == nil && done.RowsAffected == 0 {
			return models.ErrRequestPending
		}
		return done.Error
	})
	return r, err
}

// AccessRequestsIn lists the requests for a service of the owner.
func (s *Store) AccessRequestsIn(ctx context.Context, owner models.Party, q models.AccessRequestQuery) ([]models.AccessRequest, error) {
	if err := s.ownResource(ctx, owner, q.ResourceID); err != nil {
		return nil, err
	}
	return s.accessRequests(ctx, q)
}

// AccessRequestsOf lists the requests of an organisation, for any service.
func (s *Store) AccessRequestsOf(ctx context.Context, organisation models.Party, q models.AccessRequestQuery) ([]models.AccessRequest, error) {
	q.Organisation = organisation
	return s.accessRequests(ctx, q)
}

// Ids are UUIDv7, so their order is that of creation.
func (s *Store) accessRequests(ctx context.Context, q models.AccessRequestQuery) ([]models.AccessRequest, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	db := s.read.WithContext(ctx).Order("id").Limit(q.Limit)
	if q.After != uuid.Nil {
		db = db.Where("id > ?", q.After)
	}
	if q.Organisation != "" {
		db = db.Where("organisation = ?", q.Organisation)
	}
	if q.ResourceID != "" {
		db = db.Where("resource_id = ?", q.ResourceID)
	}
	if q.State != "" {
		db = db.Where("state = ?", q.State)
	}
	var out []models.AccessRequest
	return out, unavailable("list access requests", db.Find(&out).Error)
}

// AccessRequestFor returns a request to who asked and to the service's owner; models.ErrEntryNotFound to others.
func (s *Store) AccessRequestFor(ctx context.Context, viewer models.Party, id uuid.UUID) (models.AccessRequest, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var r models.AccessRequest
	err := s.read.WithContext(ctx).Take(&r, "id = ? AND (organisation = ? OR EXISTS (SELECT 1 FROM resources o WHERE o.id = resource_id AND o.owner = ?))", id, viewer, viewer).Error
	return r, unavailable("read access request", absent(err, models.ErrEntryNotFound))
}

// WithdrawAccessRequest takes a request of the caller back. models.ErrAnswered when it was answered before.
func (s *Store) WithdrawAccessRequest(ctx context.Context, by models.Caller, id uuid.UUID, cond models.Condition) error {
	return s.changeOwn(ctx, "withdraw access request", by, func(tx *gorm.DB) error {
		var r models.AccessRequest
		if err := absent(tx.Take(&r, "id = ? AND organisation = ?", id, by.Party).Error, models.ErrEntryNotFound); err != nil {
			return err
		}
		if err := s.alone(tx, resourceHold(r.ResourceID)); err != nil { // the hold orders it with the answers
			return err
		}
		if err := tx.Take(&r, "id = ?", id).Error; err != nil {
			return err
		}
		of, err := resource(tx, r.ResourceID)
		if err == nil {
			err = cond.Check(r.Version)
		}
		if err == nil && r.State != models.RequestPending {
			err = models.ErrAnswered
		}
		if err != nil {
			return err
		}
		now := s.clock()
		before := r
		r.State, r.Answered = models.RequestWithdrawn, &now
		c := models.Change{Chain: of.Owner, ResourceID: of.ID, Action: "access-request.withdraw", Subject: "access-request/" + id.String(), Before: before, After: r}
		if r.Version, err = s.record(tx, by, c); err != nil {
			return err
		}
		return tx.Save(&r).Error
	})
}

// AnswerAccessRequest approves or denies a request for a service of the caller, once. Approval writes a grant
// with these terms. models.ErrAnswered for the second answer, models.ErrGrantInTheWay of Grant.Joined.
func (s *Store) AnswerAccessRequest(ctx context.Context, by models.Caller, id uuid.UUID, a models.AccessAnswer, cond models.Condition) (models.AccessRequest, error) {
	var r models.AccessRequest
	err := s.change(ctx, "answer access request", by, func(tx *gorm.DB) error {
		if err := absent(tx.Take(&r, "id = ?", id).Error, models.ErrEntryNotFound); err != nil {
			return err
		}
		_, err := s.holdResource(tx, by.Party, r.ResourceID)
		if errors.Is(err, models.ErrNoAccess) {
			err = models.ErrEntryNotFound
		}
		if err == nil { // read again: the hold orders the answers
			err = tx.Take(&r, "id = ?", id).Error
		}
		if err == nil {
			err = cond.Check(r.Version)
		}
		if err == nil && r.State != models.RequestPending {
			err = models.ErrAnswered
		}
		if err != nil {
			return err
		}
		before, now := r, s.clock()
		r.State, r.Answer, r.Answered = a.State(), a.Text, &now
		c := models.Change{Chain: by.Party, ResourceID: r.ResourceID, Action: "access-request." + string(r.State), Subject: "access-request/" + id.String(), Before: before, After: r}
		if r.Version, err = s.record(tx, by, c); err != nil {
			return err
		}
		if err := tx.Save(&r).Error; err != nil || !a.Approve {
			return err
		}
		return s.approve(tx, by, r, a)
	})
	return r, err
}

// approve writes the grant for an approved request.
func (s *Store) approve(tx *gorm.DB, by models.Caller, r models.AccessRequest, a models.AccessAnswer) error {
	row := []models.GrantChange{{Grant: r.Grant(a), Condition: models.Condition{Unconditional: true}}}
	before, err := grantsOf(tx, r.ResourceID, row)
	if err != nil {
		return err
	}
	if row[0].Grant, err = row[0].Grant.Joined(before[r.Organisation], s.clock()); err != nil {
		return err
	}
	out, apply, added := judge(row, before)
	if out[0].Err != nil {
		return out[0].Err
	}
	if added > 0 {
		if err := underQuota(tx.Model(&models.Grant{}).Where("resource_id = ?", r.ResourceID), "grants", s.quotas.Grants, added); err != nil {
			return err
		}
	}
	return s.applyGrants(tx, by, row, apply, before, out)
}
