package registry

import (
	"encoding/json"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store/db"
)

// grantsSQL names what in the registry lets each of some parties send or receive in a service now, the best first: a grant
// of its own, then access lists.
func grantsSQL(dialect db.Dialect, action models.Action) string {
	may := mayColumn(action)
	return "SELECT g.organisation, 'grant/' || g.organisation AS by, g.version AS version, 0 AS place FROM grants g" +
		" WHERE g.resource_id = @resource AND g.organisation " + amongAsked[dialect] + " AND g.effect = 'allow' AND g." + may +
		" AND (g.supplier = '' OR @supplier = '' OR g.supplier = @supplier) AND " + Valid("g") +
		" UNION ALL SELECT m.organisation, 'access-list/' || c.list_id, c.version, 1 FROM access_list_connections c" +
		" JOIN access_list_members m ON m.owner = c.owner AND m.list_id = c.list_id" +
		" WHERE c.resource_id = @resource AND m.organisation " + amongAsked[dialect] + " AND c.effect = 'allow' AND c." + may +
		" AND " + Valid("c") + " AND " + Valid("m") + " ORDER BY organisation, place, by"
}

// mayColumn is the column of grants, connections and delegations that an action asks for.
func mayColumn(action models.Action) string {
	if action.Sends() {
		return "may_send"
	}
	return "may_receive"
}

// GrantsFor names for each of some parties what lets it send or receive in a service now; nothing does for who is absent.
func (s *Registry) GrantsFor(tx *db.Tx, resource string, parties []models.Party, supplier models.Party, action models.Action) (map[models.Party]*models.ReceiptRight, error) {
	if len(parties) == 0 {
		return nil, nil //nolint:nilnil // nothing is for nobody
	}
	list, err := json.Marshal(parties)
	if err != nil {
		return nil, err
	}
	var found []struct {
		Organisation models.Party
		By           string
		Version      int64
	}
	err = tx.Raw(grantsSQL(tx.Dialect(), action), map[string]any{"resource": resource, "parties": string(list), "supplier": supplier, "at": tx.Now()}).Scan(&found).Error
	if err != nil {
		return nil, err
	}
	out := make(map[models.Party]*models.ReceiptRight, len(found))
	for _, f := range found {
		if out[f.Organisation] == nil {
			out[f.Organisation] = &models.ReceiptRight{By: f.By, Version: f.Version}
		}
	}
	return out, nil
}

// GrantFor names what in the registry lets a party send or receive in a service now, and what lets the supplier that acts
// for it; nil when nothing does by itself.
func (s *Registry) GrantFor(tx *db.Tx, resource string, p models.Party, by *models.ReceiptActor, action models.Action) (*models.ReceiptRight, error) {
	var supplier models.Party
	if by != nil {
		supplier = by.Supplier
	}
	all, err := s.GrantsFor(tx, resource, []models.Party{p}, supplier, action)
	right := all[p]
	if err != nil || right == nil || supplier == "" {
		return right, err
	}
	right.Delegation, err = delegationFor(tx, resource, p, *by, action)
	return right, err
}

// delegationFor names the delegation by which a supplier acts: the principal's in this service before one in all; else
// the supplier's issuer vouched for it.
func delegationFor(tx *db.Tx, resource string, p models.Party, by models.ReceiptActor, action models.Action) (*models.ReceiptRight, error) {
	var found []models.Delegation
	err := validDelegations(tx.DB, tx.Now()).Order("resource_id DESC").Limit(1).
		Find(&found, "principal = ? AND supplier = ? AND resource_id IN ? AND "+mayColumn(action), p, by.Supplier, []string{"", resource}).Error
	switch {
	case err != nil:
		return nil, err
	case len(found) > 0:
		return &models.ReceiptRight{By: "delegation/" + string(by.Supplier), Version: found[0].Version}, nil
	case by.Issuer != "":
		return &models.ReceiptRight{By: "issuer/" + by.Issuer}, nil
	}
	return nil, nil //nolint:nilnil // it was taken back at this moment
}
