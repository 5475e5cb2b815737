package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"gorm.io/gorm/clause"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// ClientByID returns registered keys, expired ones too, or models.ErrClientNotFound.
func (s *Registry) ClientByID(ctx context.Context, id string) (models.Client, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var c models.Client
	err := s.db.Read(ctx).Take(&c, "id = ?", id).Error
	return c, db.Unavailable("read client", db.Absent(err, models.ErrClientNotFound))
}

// ClientsOf lists the clients of an organisation by id.
func (s *Registry) ClientsOf(ctx context.Context, organisation models.Party) ([]models.Client, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var out []models.Client
	err := s.db.Read(ctx).Order("id").Find(&out, "organisation = ?", organisation).Error
	return out, db.Unavailable("list clients", err)
}

// PutClient registers keys of the caller, or replaces them. An id that another organisation has is refused as
// unknown: models.ErrClientNotFound.
func (s *Registry) PutClient(ctx context.Context, by models.Caller, c models.Client, cond models.Condition) (models.Client, error) {
	c.Organisation = by.Party
	a := changeClient(by, c.ID, cond)
	a.What, a.Change.Action = "put client", "client.put"
	a.Judge = func(tx *db.Tx, before *models.Client) ([]models.Change, error) {
		if c.Created = tx.Now(); before != nil {
			c.Created = before.Created
		}
		return put(c), nil
	}
	a.Quota = func(tx *db.Tx) error {
		return UnderQuota(tx.Model(&models.Client{}).Where("organisation = ?", by.Party), "clients", s.quotas.Clients, 1)
	}
	a.Write = func(tx *db.Tx, version int64) error {
		c.Version = version
		return tx.Save(&c).Error
	}
	err := Amend(ctx, s, by, a)
	return c, err
}

// DeleteClient takes keys of the caller out of use. Tokens that they bought live for at most five minutes more.
func (s *Registry) DeleteClient(ctx context.Context, by models.Caller, id string, cond models.Condition) error {
	a := changeClient(by, id, cond)
	a.What, a.Change.Action, a.Missing = "delete client", "client.delete", models.ErrClientNotFound
	a.Judge = func(*db.Tx, *models.Client) ([]models.Change, error) { return gone(), nil }
	a.Write = func(tx *db.Tx, _ int64) error { return tx.Delete(&models.Client{}, "id = ?", id).Error }
	return Amend(ctx, s, by, a)
}

func changeClient(by models.Caller, id string, cond models.Condition) Amendment[models.Client] {
	return Amendment[models.Client]{
		Own: true, Condition: cond, Change: models.Change{Chain: by.Party, Subject: "client/" + id},
		Read: func(tx *db.Tx) (*models.Client, error) {
			c, err := first[models.Client](tx.Clauses(clause.Locking{Strength: "UPDATE"}), "id = ?", id)
			if c != nil && c.Organisation != by.Party {
				return nil, models.ErrClientNotFound
			}
			return c, err
		},
	}
}

// CredentialLockOf returns an organisation's lock, or models.ErrEntryNotFound.
func (s *Registry) CredentialLockOf(ctx context.Context, organisation models.Party) (models.CredentialLock, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var l models.CredentialLock
	err := s.db.Read(ctx).Take(&l, "organisation = ?", organisation).Error
	return l, db.Unavailable("read credential lock", db.Absent(err, models.ErrEntryNotFound))
}

// PutCredentialLock says which credentials alone act for the caller. models.ErrLocksOut when the one that says
// so is not among them.
func (s *Registry) PutCredentialLock(ctx context.Context, by models.Caller, l models.CredentialLock, cond models.Condition) (stored models.CredentialLock, created bool, err error) {
	l.Organisation = by.Party
	for _, list := range []*[]string{&l.Certificates, &l.Keys, &l.Issuers} {
		if *list == nil {
			*list = []string{}
		}
	}
	if !l.Allows(by.Credential) {
		return l, false, models.ErrLocksOut
	}
	a := changeCredentialLock(by, cond)
	a.Change.Action = "credential-lock.put"
	a.Judge = func(_ *db.Tx, before *models.CredentialLock) ([]models.Change, error) {
		created = before == nil
		return put(l), nil
	}
	a.Write = func(tx *db.Tx, version int64) error {
		l.Version, l.Updated = version, tx.Now()
		return tx.Save(&l).Error
	}
	err = Amend(ctx, s, by, a)
	return l, created, err
}

// DeleteCredentialLock lets every valid credential act for the caller again.
func (s *Registry) DeleteCredentialLock(ctx context.Context, by models.Caller, cond models.Condition) error {
	a := changeCredentialLock(by, cond)
	a.Change.Action, a.Missing = "credential-lock.delete", models.ErrEntryNotFound
	a.Judge = func(*db.Tx, *models.CredentialLock) ([]models.Change, error) { return gone(), nil }
	a.Write = func(tx *db.Tx, _ int64) error {
		return tx.Delete(&models.CredentialLock{}, "organisation = ?", by.Party).Error
	}
	return Amend(ctx, s, by, a)
}

func changeCredentialLock(by models.Caller, cond models.Condition) Amendment[models.CredentialLock] {
	return Amendment[models.CredentialLock]{
		What: "change credential lock", Own: true, Condition: cond,
		Change: models.Change{Chain: by.Party, Subject: "credential-lock/" + string(by.Party)},
		Read: func(tx *db.Tx) (*models.CredentialLock, error) {
			return first[models.CredentialLock](tx.DB, "organisation = ?", by.Party)
		},
	}
}

// UseAssertion spends an assertion: models.ErrAssertionUsed the second time, at whatever replica. It is
// remembered until it has expired anyway.
func (s *Registry) UseAssertion(ctx context.Context, holder models.Party, jti string, until time.Time) error {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	sum := sha256.Sum256([]byte(jti)) // of bounded size, whatever was sent
	done := s.db.Write(ctx).Exec("INSERT INTO used_assertions (holder, jti, expires) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		holder, hex.EncodeToString(sum[:]), until.UTC())
	if done.Error == nil && done.RowsAffected == 0 {
		return models.ErrAssertionUsed
	}
	return db.Unavailable("use assertion", done.Error)
}

// ForgetAssertions deletes what has expired.
func (s *Registry) ForgetAssertions(ctx context.Context) error {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	return db.Unavailable("forget assertions", s.db.Write(ctx).Exec("DELETE FROM used_assertions WHERE expires < ?", s.db.Now().Add(-time.Minute)).Error)
}
