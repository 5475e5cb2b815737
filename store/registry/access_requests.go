package registry

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// RequestAccess keeps the caller's wish for rights in a service. models.ErrRequestPending while another one
// waits, models.ErrResourceNotConfigured for an unknown service.
func (s *Registry) RequestAccess(ctx context.Context, by models.Caller, r models.AccessRequest) (models.AccessRequest, error) {
	r.Organisation, r.State = by.Party, models.RequestPending
	a := changeRequest(r.ID, models.Condition{})
	a.What, a.Own, a.Missing, a.Change.Action = "request access", true, nil, "access-request.ask"
	a.Read = func(*db.Tx) (*models.AccessRequest, error) { return nil, nil }
	a.Judge = func(tx *db.Tx, _ *models.AccessRequest) ([]models.Change, error) {
		of, err := resource(tx.DB, r.ResourceID)
		if err != nil {
			return nil, err
		}
		return []models.Change{{Chain: of.Owner, ResourceID: of.ID, After: r}}, r.Check()
	}
	a.Quota = func(tx *db.Tx) error {
		pending := tx.Model(&models.AccessRequest{}).Where("organisation = ? AND state = ?", by.Party, models.RequestPending)
		return UnderQuota(pending, "pending access requests", s.quotas.Requests, 1)
	}
	a.Write = func(tx *db.Tx, version int64) error {
		r.Version, r.Created = version, tx.Now()
		done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&r)
		if done.Error == nil && done.RowsAffected == 0 {
			return models.ErrRequestPending
		}
		return done.Error
	}
	err := Amend(ctx, s, by, a)
	return r, err
}

// changeRequest is the amendment of an access request.
func changeRequest(id uuid.UUID, cond models.Condition) Amendment[models.AccessRequest] {
	return Amendment[models.AccessRequest]{
		Condition: cond, Missing: models.ErrEntryNotFound, Change: models.Change{Subject: "access-request/" + id.String()},
	}
}

// AccessRequestsIn lists the requests for a service of the owner.
func (s *Registry) AccessRequestsIn(ctx context.Context, owner models.Party, q models.AccessRequestQuery) ([]models.AccessRequest, error) {
	if err := s.ownResource(ctx, owner, q.ResourceID); err != nil {
		return nil, err
	}
	return s.accessRequests(ctx, q)
}

// AccessRequestsOf lists the requests of an organisation, for any service.
func (s *Registry) AccessRequestsOf(ctx context.Context, organisation models.Party, q models.AccessRequestQuery) ([]models.AccessRequest, error) {
	q.Organisation = organisation
	return s.accessRequests(ctx, q)
}

// Ids are UUIDv7, so their order is that of creation.
func (s *Registry) accessRequests(ctx context.Context, q models.AccessRequestQuery) ([]models.AccessRequest, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	rows := s.db.Read(ctx).Order("id").Limit(q.Limit)
	if q.After != uuid.Nil {
		rows = rows.Where("id > ?", q.After)
	}
	if q.Organisation != "" {
		rows = rows.Where("organisation = ?", q.Organisation)
	}
	if q.ResourceID != "" {
		rows = rows.Where("resource_id = ?", q.ResourceID)
	}
	if q.State != "" {
		rows = rows.Where("state = ?", q.State)
	}
	var out []models.AccessRequest
	return out, db.Unavailable("list access requests", rows.Find(&out).Error)
}

// AccessRequestFor returns a request to who asked and to the service's owner; models.ErrEntryNotFound to others.
func (s *Registry) AccessRequestFor(ctx context.Context, viewer models.Party, id uuid.UUID) (models.AccessRequest, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var r models.AccessRequest
	err := s.db.Read(ctx).Take(&r, "id = ? AND (organisation = ? OR EXISTS (SELECT 1 FROM resources o WHERE o.id = resource_id AND o.owner = ?))", id, viewer, viewer).Error
	return r, db.Unavailable("read access request", db.Absent(err, models.ErrEntryNotFound))
}

// WithdrawAccessRequest takes a request of the caller back. models.ErrAnswered when it was answered before.
func (s *Registry) WithdrawAccessRequest(ctx context.Context, by models.Caller, id uuid.UUID, cond models.Condition) error {
	var r models.AccessRequest
	a := changeRequest(id, cond)
	a.What, a.Own, a.Change.Action = "withdraw access request", true, "access-request.withdraw"
	a.Read = func(tx *db.Tx) (*models.AccessRequest, error) {
		if err := db.Absent(tx.Take(&r, "id = ? AND organisation = ?", id, by.Party).Error, models.ErrEntryNotFound); err != nil {
			return nil, err
		}
		if err := tx.LockAlone(db.ResourceLock(r.ResourceID)); err != nil { // the lock orders it with the answers
			return nil, err
		}
		return first[models.AccessRequest](tx.DB, "id = ?", id)
	}
	a.Judge = func(tx *db.Tx, before *models.AccessRequest) ([]models.Change, error) {
		of, err := resource(tx.DB, before.ResourceID)
		if err == nil && before.State != models.RequestPending {
			err = models.ErrAnswered
		}
		now := tx.Now()
		r = *before
		r.State, r.Answered = models.RequestWithdrawn, &now
		return []models.Change{{Chain: of.Owner, ResourceID: of.ID, After: r}}, err
	}
	a.Write = func(tx *db.Tx, version int64) error {
		r.Version = version
		return tx.Save(&r).Error
	}
	return Amend(ctx, s, by, a)
}

// AnswerAccessRequest approves or denies a request for a service of the caller, once. Approval writes a grant
// with these terms. models.ErrAnswered for the second answer, models.ErrGrantInTheWay of Grant.Joined.
func (s *Registry) AnswerAccessRequest(ctx context.Context, by models.Caller, id uuid.UUID, answer models.AccessAnswer, cond models.Condition) (models.AccessRequest, error) {
	var r models.AccessRequest
	a := changeRequest(id, cond)
	a.What, a.Change.Chain, a.Change.Action = "answer access request", by.Party, "access-request."+string(answer.State())
	a.Read = func(tx *db.Tx) (*models.AccessRequest, error) {
		if err := db.Absent(tx.Take(&r, "id = ?", id).Error, models.ErrEntryNotFound); err != nil {
			return nil, err
		}
		if _, err := lockResource(tx, by.Party, r.ResourceID); errors.Is(err, models.ErrNoAccess) {
			return nil, models.ErrEntryNotFound
		} else if err != nil {
			return nil, err
		}
		return first[models.AccessRequest](tx.DB, "id = ?", id) // again: the lock orders the answers
	}
	a.Judge = func(tx *db.Tx, before *models.AccessRequest) ([]models.Change, error) {
		if before.State != models.RequestPending {
			return nil, models.ErrAnswered
		}
		now := tx.Now()
		r = *before
		r.State, r.Answer, r.Answered = answer.State(), answer.Text, &now
		return []models.Change{{ResourceID: r.ResourceID, After: r}}, nil
	}
	a.Write = func(tx *db.Tx, version int64) error {
		r.Version = version
		if err := tx.Save(&r).Error; err != nil || !answer.Approve {
			return err
		}
		return s.approve(tx, by, r, answer)
	}
	err := Amend(ctx, s, by, a)
	return r, err
}

// approve writes the grant for an approved request.
func (s *Registry) approve(tx *db.Tx, by models.Caller, r models.AccessRequest, a models.AccessAnswer) error {
	row := []models.GrantChange{{Grant: r.Grant(a), Condition: models.Condition{Unconditional: true}}}
	before, err := grantsOf(tx, r.ResourceID, row)
	if err != nil {
		return err
	}
	if row[0].Grant, err = row[0].Grant.Joined(before[r.Organisation], tx.Now()); err != nil {
		return err
	}
	batch := grantBatch{resource: r.ResourceID, changes: row, quota: s.quotas.Grants}
	if err := batch.amendment(by).in(tx, by); err != nil {
		return err
	}
	return batch.results[0].Err
}
