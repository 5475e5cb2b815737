package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// asked is the parties of a question as a table: the first is the one who acts.
var asked = map[db.Dialect]string{
	db.Postgres: "SELECT value AS organisation, place - 1 AS place FROM jsonb_array_elements_text(CAST(@parties AS jsonb)) WITH ORDINALITY AS e(value, place)",
	db.SQLite:   "SELECT value AS organisation, key AS place FROM json_each(@parties)",
}

// amongAsked looks rows of the parties up by their key. PostgreSQL is made to, however little it knows of the tables: joined
// freely with the parties it would rather read them whole [14 ms].
var amongAsked = map[db.Dialect]string{
	db.Postgres: "= ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(@parties AS jsonb))))",
	db.SQLite:   "IN (SELECT value FROM json_each(@parties))",
}

// refusedSQL finds who has no right, of the one who acts (place 0) and the recipients, and first of all whether there are
// locks on the credential (place -1), which are seldom. Of rights it says the same as
// models.Registry.Find over the rules of all of them; TestDecide_TheDatabaseAgreesWithTheModel proves it.
const refusedSQL = `
WITH asked AS (%[1]s),
memberships AS MATERIALIZED (
	SELECT * FROM access_list_members WHERE owner = (SELECT owner FROM resources WHERE id = @resource) AND organisation %[2]s
),
rules AS (
	SELECT g.organisation, g.effect, g.may_send, g.may_receive, g.reply_only, g.accepts_replies
	FROM grants g WHERE g.resource_id = @resource AND g.organisation %[2]s
	AND %[3]s
	AND (g.effect = 'block' OR g.supplier = '' OR g.organisation <> @actor OR @supplier = '' OR g.supplier = @supplier)
	UNION ALL
	SELECT m.organisation, c.effect, c.may_send, c.may_receive, c.reply_only, c.accepts_replies
	FROM memberships m JOIN access_list_connections c ON c.owner = m.owner AND c.list_id = m.list_id
	WHERE c.resource_id = @resource
	AND %[4]s
	AND %[5]s
),
joined AS (
	SELECT organisation,
		max(CASE WHEN effect = 'allow' AND may_send AND NOT reply_only THEN 1 ELSE 0 END) AS sends,
		max(CASE WHEN effect = 'allow' AND may_send THEN 1 ELSE 0 END) AS replies,
		max(CASE WHEN effect = 'allow' AND may_receive THEN 1 ELSE 0 END) AS receives,
		max(CASE WHEN effect = 'allow' AND accepts_replies THEN 1 ELSE 0 END) AS accepts,
		max(CASE WHEN effect = 'block' AND may_send THEN 1 ELSE 0 END) AS no_send,
		max(CASE WHEN effect = 'block' AND may_receive THEN 1 ELSE 0 END) AS no_receive
	FROM rules GROUP BY organisation
),
standings AS (
	SELECT organisation, sends * (1 - no_send) AS sends, replies * (1 - no_send) AS replies,
		receives * (1 - no_receive) AS receives, accepts * (1 - no_receive) AS accepts
	FROM joined
)
SELECT -1 AS place, organisation FROM credential_locks WHERE organisation IN (@holder, @principal)
UNION ALL
SELECT a.place, a.organisation FROM asked a LEFT JOIN standings s ON s.organisation = a.organisation
WHERE a.place = 0 AND coalesce(CASE WHEN @sending THEN s.replies ELSE s.receives END, 0) = 0
	OR a.place > 0 AND (coalesce(s.receives, 0) = 0
		OR coalesce((SELECT sends FROM standings WHERE organisation = @actor), 0) = 0 AND coalesce(s.accepts, 0) = 0)
ORDER BY place LIMIT @most`

// find lets the database look a question up, and tells whether the caller's credential has locks to pass. The order and
// the names of refused recipients end after those that an error names.
func (s *Registry) find(tx *gorm.DB, resource string, q models.Question) (f models.Findings, locked bool, err error) {
	parties := []models.Party{q.By.Party}
	if q.Action.Sends() {
		parties = append([]models.Party{q.From}, q.To...)
	}
	list, err := json.Marshal(parties)
	if err != nil {
		return f, false, err
	}
	holding := lockHolders(q.By)
	var refused []struct {
		Place        int
		Organisation models.Party
	}
	err = tx.Raw(fmt.Sprintf(refusedSQL, asked[s.db.Dialect()], amongAsked[s.db.Dialect()], Valid("g"), Valid("c"), Valid("m")), map[string]any{
		"parties": string(list), "resource": resource, "at": q.At, "actor": parties[0], "supplier": q.By.Supplier,
		"sending": q.Action.Sends(), "most": models.MaxNamed + 1 + len(holding),
		"holder": holding[0], "principal": holding[len(holding)-1],
	}).Scan(&refused).Error
	f = models.Findings{Actor: true, Delegated: true}
	for _, r := range refused {
		switch {
		case r.Place < 0:
			locked = true
		case r.Place == 0:
			f.Actor = false
		default:
			f.Refused = append(f.Refused, r.Organisation)
		}
	}
	if err == nil && q.NeedsDelegation() {
		f.Delegated, err = delegated(tx, resource, q)
	}
	return f, locked, err
}

func delegated(tx *gorm.DB, resource string, q models.Question) (bool, error) {
	var found []models.Delegation
	err := validDelegations(tx, q.At).Limit(1).
		Find(&found, "principal = ? AND supplier = ? AND resource_id IN ? AND "+mayColumn(q.Action), q.By.Party, q.By.Supplier, []string{"", resource}).Error
	return len(found) > 0, err
}

// checkRight answers a question by the registry as it is at a moment: of now, not of when the request came.
func (s *Registry) checkRight(tx *gorm.DB, r models.Resource, q models.Question, at time.Time) error {
	q.At = at
	f, locked, err := s.find(tx, r.ID, q)
	if err != nil {
		return err
	}
	if err := r.Verdict(q, f); err != nil || !locked {
		return err
	}
	return checkCredentialLock(tx, q.By)
}

// LockForDecision keeps what a question is decided by as it is, until the transaction ends: the credentials and
// delegations of who asks, then the service. It returns the service, or models.ErrResourceNotConfigured.
func (s *Registry) LockForDecision(tx *db.Tx, id string, by models.Caller) (models.Resource, error) {
	var names []string
	for _, p := range holders(by) {
		names = append(names, db.OrganisationLock(p))
	}
	if err := tx.LockShared(append(names, db.ResourceLock(id))...); err != nil {
		return models.Resource{}, err
	}
	return resource(tx.DB, id)
}

// holders are the organisations whose word on credentials and delegations counts for a caller.
func holders(by models.Caller) []models.Party {
	if by.Supplier == "" {
		return []models.Party{by.Party}
	}
	return []models.Party{min(by.Party, by.Supplier), max(by.Party, by.Supplier)}
}

// CheckRightLocked answers a question about a service that LockForDecision locked: the answer stays true until the
// transaction ends.
func (s *Registry) CheckRightLocked(tx *db.Tx, r models.Resource, q models.Question) error {
	return s.checkRight(tx.DB, r, q, tx.Now())
}

// CheckRightIn locks what a question is decided by and answers it.
func (s *Registry) CheckRightIn(tx *db.Tx, id string, q models.Question) error {
	r, err := s.LockForDecision(tx, id, q.By)
	if err != nil {
		return err
	}
	return s.CheckRightLocked(tx, r, q)
}

// CheckRight answers whether a party may do something in a service now: nil for yes, else the refusals of
// models.Resource.Verdict. An unknown service is refused as one without rights.
func (s *Registry) CheckRight(ctx context.Context, resource string, q models.Question) error {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	r, err := s.ResourceByID(ctx, resource)
	if errors.Is(err, models.ErrResourceNotConfigured) {
		return models.ErrNoAccess
	} else if err != nil {
		return err
	}
	return db.Unavailable("check rights", s.checkRight(s.db.Read(ctx), r, q, s.db.Now()))
}

// RegistryOf loads what is known about some organisations in a service, to explain a decision.
func (s *Registry) RegistryOf(ctx context.Context, id string, q models.Question) (models.Registry, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	var none models.Registry
	r, err := s.ResourceByID(ctx, id)
	if err != nil {
		return none, err
	}
	rules, err := s.rules(s.db.Read(ctx), id, append([]models.Party{q.From, q.By.Party}, q.To...))
	if err != nil {
		return none, db.Unavailable("read rights", err)
	}
	var delegations []models.Delegation
	err = s.db.Read(ctx).Find(&delegations, "principal = ? AND supplier = ?", q.By.Party, q.By.Supplier).Error
	return models.NewRegistry(r, rules, delegations), db.Unavailable("read delegations", err)
}

// rules reads every rule of a service about some organisations, valid or not.
func (s *Registry) rules(tx *gorm.DB, resource string, of []models.Party) ([]models.Rule, error) {
	var grants []models.Grant
	if err := tx.Order("organisation").Find(&grants, "resource_id = ? AND organisation IN ?", resource, of).Error; err != nil {
		return nil, err
	}
	rules := make([]models.Rule, 0, len(grants))
	for _, g := range grants {
		rules = append(rules, models.Rule{Organisation: g.Organisation, Terms: g.Terms, Supplier: g.Supplier})
	}
	var connections []models.AccessListConnection
	if err := tx.Order("list_id").Find(&connections, "resource_id = ?", resource).Error; err != nil {
		return nil, err
	}
	for _, c := range connections {
		var members []models.AccessListMember
		if err := tx.Order("organisation").Find(&members, "owner = ? AND list_id = ? AND organisation IN ?", c.Owner, c.ListID, of).Error; err != nil {
			return nil, err
		}
		for _, m := range members {
			rules = append(rules, models.NewListRule(c, m))
		}
	}
	return rules, nil
}

// FindRights lets the database look a question up, without the policy: the SQL of the decision alone.
func (s *Registry) FindRights(ctx context.Context, resource string, q models.Question) (models.Findings, error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	q.At = s.db.Now()
	f, _, err := s.find(s.db.Read(ctx), resource, q)
	return f, db.Unavailable("find rights", err)
}

// RightsOf tells in short what an organisation may do in a service now; nothing when there is no such service.
func (s *Registry) RightsOf(ctx context.Context, id string, organisation models.Party) (send, receive bool, err error) {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	by := models.Caller{Party: organisation}
	for action, may := range map[models.Action]*bool{models.ActionUpload: &send, models.ActionReceive: &receive} {
		f, err := s.FindRights(ctx, id, models.Question{Action: action, From: organisation, By: by})
		if err != nil {
			return false, false, err
		}
		*may = f.Actor
	}
	return send, receive, nil
}

// LookAs tells in which roles a caller may look at transfers of its organisation in a service: the organisation itself
// in both, a supplier in those that were delegated to it. models.ErrNoAccess for none, models.ErrSupplierRefused where
// the service accepts no such supplier.
func (s *Registry) LookAs(ctx context.Context, id string, by models.Caller) ([]models.Role, error) {
	if by.Supplier == "" {
		return []models.Role{models.RoleSender, models.RoleRecipient}, nil
	}
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	r, err := s.ResourceByID(ctx, id)
	if errors.Is(err, models.ErrResourceNotConfigured) {
		return nil, models.ErrNoAccess
	} else if err != nil {
		return nil, err
	}
	var roles []models.Role
	var refusal error
	for _, as := range []struct {
		role   models.Role
		action models.Action
	}{{models.RoleSender, models.ActionUpload}, {models.RoleRecipient, models.ActionReceive}} {
		q := models.Question{Action: as.action, By: by, At: s.db.Now()}
		f := models.Findings{Actor: true, Delegated: !q.NeedsDelegation()}
		if !f.Delegated {
			if f.Delegated, err = delegated(s.db.Read(ctx), id, q); err != nil {
				return nil, db.Unavailable("check delegation", err)
			}
		}
		if refused := r.Verdict(q, f); refused != nil {
			refusal = refused
			continue
		}
		roles = append(roles, as.role)
	}
	if len(roles) > 0 {
		return roles, nil
	}
	return nil, refusal
}

// lockHolders are the organisations whose locks a caller's credential must pass.
func lockHolders(by models.Caller) []models.Party {
	if by.DelegationStated { // the issuer speaks for the principal too
		return []models.Party{by.Holder(), by.Party}
	}
	return []models.Party{by.Holder()}
}

// checkCredentialLock refuses a credential that the organisation it is of does not let act (models.CredentialLock).
func checkCredentialLock(tx *gorm.DB, by models.Caller) error {
	var locks []models.CredentialLock
	if err := tx.Find(&locks, "organisation IN ?", lockHolders(by)).Error; err != nil {
		return err
	}
	for _, l := range locks {
		if by.Credential.Method != "" && !l.Allows(by.Credential) {
			return fmt.Errorf("%w (the organisation's credential lock does not name it)", models.ErrUnauthenticated)
		}
	}
	return nil
}

// CheckCaller refuses a credential that its organisation locked out, and a supplier to which nobody delegated.
// It is asked at each request; CheckRight asks more closely.
func (s *Registry) CheckCaller(ctx context.Context, by models.Caller) error {
	ctx, cancel := db.Bounded(ctx)
	defer cancel()
	tx := s.db.Read(ctx)
	if err := checkCredentialLock(tx, by); err != nil || by.Supplier == "" || by.DelegationStated {
		return db.Unavailable("check credential", err)
	}
	var found []models.Delegation
	err := validDelegations(tx, s.db.Now()).Limit(1).Find(&found, "principal = ? AND supplier = ?", by.Party, by.Supplier).Error
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w (its organisation has not delegated to the supplier)", models.ErrUnauthenticated)
	}
	return db.Unavailable("check delegation", err)
}
