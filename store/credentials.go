package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
)

// ClientByID returns registered keys, expired ones too, or models.ErrClientNotFound.
func (s *Store) ClientByID(ctx context.Context, id string) (models.Client, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var c models.Client
	err := s.read.WithContext(ctx).Take(&c, "id = ?", id).Error
	return c, unavailable("read client", absent(err, models.ErrClientNotFound))
}

// ClientsOf lists the clients of an organisation by id.
func (s *Store) ClientsOf(ctx context.Context, organisation models.Party) ([]models.Client, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var out []models.Client
	err := s.read.WithContext(ctx).Order("id").Find(&out, "organisation = ?", organisation).Error
	return out, unavailable("list clients", err)
}

// PutClient registers keys of the caller, or replaces them. An id that another organisation has is refused as
// unknown: models.ErrClientNotFound.
func (s *Store) PutClient(ctx context.Context, by models.Caller, c models.Client, cond models.Condition) (models.Client, error) {
	c.Organisation = by.Party
	err := s.changeOwn(ctx, "put client", by, func(tx *gorm.DB) error {
		before, exists, err := lockClient(tx, by, c.ID)
		if err == nil {
			err = cond.Check(before.Version)
		}
		if err != nil {
			return err
		}
		e := models.Change{Chain: by.Party, Action: "client.put", Subject: "client/" + c.ID, After: c}
		c.Created = s.clock()
		if exists {
			e.Before, c.Created = before, before.Created
		} else if err := underQuota(tx.Model(&models.Client{}).Where("organisation = ?", by.Party), "clients", s.quotas.Clients, 1); err != nil {
			return err
		}
		if c.Version, err = s.record(tx, by, e); err != nil {
			return err
		}
		return tx.Save(&c).Error
	})
	return c, err
}

// DeleteClient takes keys of the caller out of use. Tokens that they bought live for at most five minutes more.
func (s *Store) DeleteClient(ctx context.Context, by models.Caller, id string, cond models.Condition) error {
	return s.changeOwn(ctx, "delete client", by, func(tx *gorm.DB) error {
		before, exists, err := lockClient(tx, by, id)
		if err == nil {
			err = cond.Check(before.Version)
		}
		if err == nil && !exists {
			err = models.ErrClientNotFound
		}
		if err != nil {
			return err
		}
		e := models.Change{Chain: by.Party, Action: "client.delete", Subject: "client/" + id, Before: before}
		if _, err := s.record(tx, by, e); err != nil {
			return err
		}
		return tx.Delete(&models.Client{}, "id = ?", id).Error
	})
}

func lockClient(tx *gorm.DB, by models.Caller, id string) (before models.Client, exists bool, err error) {
	err = tx.Clauses(clause.Locking{Strength: "UPDATE"}).Take(&before, "id = ?", id).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return before, false, nil
	case err == nil && before.Organisation != by.Party:
		return models.Client{}, false, models.ErrClientNotFound
	}
	return before, err == nil, err
}

// CredentialLockOf returns an organisation's lock, or models.ErrEntryNotFound.
func (s *Store) CredentialLockOf(ctx context.Context, organisation models.Party) (models.CredentialLock, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var l models.CredentialLock
	err := s.read.WithContext(ctx).Take(&l, "organisation = ?", organisation).Error
	return l, unavailable("read credential lock", absent(err, models.ErrEntryNotFound))
}

// PutCredentialLock says which credentials alone act for the caller. models.ErrLocksOut when the one that says
// so is not among them.
func (s *Store) PutCredentialLock(ctx context.Context, by models.Caller, l models.CredentialLock, cond models.Condition) (put models.CredentialLock, created bool, err error) {
	l.Organisation = by.Party
	for _, list := range []*[]string{&l.Certificates, &l.Keys, &l.Issuers} {
		if *list == nil {
			*list = []string{}
		}
	}
	if !l.Permits(by.Credential) {
		return l, false, models.ErrLocksOut
	}
	err = s.changeLock(ctx, by, cond, func(tx *gorm.DB, before *models.CredentialLock) (models.Change, error) {
		c := models.Change{Action: "credential-lock.put", After: l}
		if created = before == nil; !created {
			c.Before = *before
		}
		return c, nil
	}, func(tx *gorm.DB, version int64) error {
		l.Version, l.Updated = version, s.clock()
		return tx.Save(&l).Error
	})
	return l, created, err
}

// DeleteCredentialLock lets every valid credential act for the caller again.
func (s *Store) DeleteCredentialLock(ctx context.Context, by models.Caller, cond models.Condition) error {
	return s.changeLock(ctx, by, cond, func(_ *gorm.DB, before *models.CredentialLock) (models.Change, error) {
		if before == nil {
			return models.Change{}, models.ErrEntryNotFound
		}
		return models.Change{Action: "credential-lock.delete", Before: *before}, nil
	}, func(tx *gorm.DB, _ int64) error {
		return tx.Delete(&models.CredentialLock{}, "organisation = ?", by.Party).Error
	})
}

func (s *Store) changeLock(ctx context.Context, by models.Caller, cond models.Condition,
	judge func(*gorm.DB, *models.CredentialLock) (models.Change, error), write func(tx *gorm.DB, version int64) error,
) error {
	return s.changeOwn(ctx, "change credential lock", by, func(tx *gorm.DB) error {
		var found []models.CredentialLock
		if err := tx.Limit(1).Find(&found, "organisation = ?", by.Party).Error; err != nil {
			return err
		}
		var before *models.CredentialLock
		var version int64
		if len(found) > 0 {
			before, version = &found[0], found[0].Version
		}
		if err := cond.Check(version); err != nil {
			return err
		}
		c, err := judge(tx, before)
		if err != nil {
			return err
		}
		c.Chain, c.Subject = by.Party, "credential-lock/"+string(by.Party)
		if version, err = s.record(tx, by, c); err != nil {
			return err
		}
		return write(tx, version)
	})
}

// UseAssertion spends an assertion: models.ErrAssertionUsed the second time, at whatever replica. It is
// remembered until it has expired anyway.
func (s *Store) UseAssertion(ctx context.Context, holder models.Party, jti string, until time.Time) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	sum := sha256.Sum256([]byte(jti)) // of bounded size, whatever was sent
	done := s.write.WithContext(ctx).Exec("INSERT INTO used_assertions (holder, jti, expires) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		holder, hex.EncodeToString(sum[:]), until.UTC())
	if done.Error == nil && done.RowsAffected == 0 {
		return models.ErrAssertionUsed
	}
	return unavailable("use assertion", done.Error)
}

// ForgetAssertions deletes what has expired.
func (s *Store) ForgetAssertions(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return unavailable("forget assertions", s.write.WithContext(ctx).Exec("DELETE FROM used_assertions WHERE expires < ?", s.clock().Add(-time.Minute)).Error)
}
