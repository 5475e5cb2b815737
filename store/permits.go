package store

import (
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// permitSQL names what in the registry lets each of some parties send or receive in a service now, the best first: a grant
// of its own, then access lists.
func (s *Store) permitSQL(action models.Action) string {
	may := "may_receive"
	if action.Sends() {
		may = "may_send"
	}
	const valid = "(%[1]s.valid_from IS NULL OR %[1]s.valid_from <= @at) AND (%[1]s.valid_to IS NULL OR %[1]s.valid_to > @at)"
	return "SELECT g.organisation, 'grant/' || g.organisation AS by, g.version AS version, 0 AS place FROM grants g" +
		" WHERE g.resource_id = @resource AND g.organisation " + amongAsked[s.dialect] + " AND g.effect = 'allow' AND g." + may +
		" AND (g.supplier = '' OR @supplier = '' OR g.supplier = @supplier) AND " + fmt.Sprintf(valid, "g") +
		" UNION ALL SELECT m.organisation, 'access-list/' || c.list_id, c.version, 1 FROM access_list_connections c" +
		" JOIN access_list_members m ON m.owner = c.owner AND m.list_id = c.list_id" +
		" WHERE c.resource_id = @resource AND m.organisation " + amongAsked[s.dialect] + " AND c.effect = 'allow' AND c." + may +
		" AND " + fmt.Sprintf(valid, "c") + " AND " + fmt.Sprintf(valid, "m") + " ORDER BY organisation, place, by"
}

// permitsOf names for each of some parties what lets it send or receive in a service now; nothing does for who is absent.
func (s *Store) permitsOf(tx *gorm.DB, resource string, parties []models.Party, supplier models.Party, action models.Action) (map[models.Party]*models.ReceiptRight, error) {
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
	err = tx.Raw(s.permitSQL(action), map[string]any{"resource": resource, "parties": string(list), "supplier": supplier, "at": s.clock()}).Scan(&found).Error
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

// permitOf names what in the registry lets a party send or receive in a service now, and what lets the supplier that acts
// for it; nil when nothing does by itself.
func (s *Store) permitOf(tx *gorm.DB, resource string, p models.Party, by *models.ReceiptActor, action models.Action) (*models.ReceiptRight, error) {
	var supplier models.Party
	if by != nil {
		supplier = by.Supplier
	}
	all, err := s.permitsOf(tx, resource, []models.Party{p}, supplier, action)
	right := all[p]
	if err != nil || right == nil || supplier == "" {
		return right, err
	}
	right.Delegation, err = s.delegationFor(tx, resource, p, *by, action)
	return right, err
}

// delegationFor names the delegation by which a supplier acts: the principal's in this service before one in all; else
// the supplier's issuer vouched for it.
func (s *Store) delegationFor(tx *gorm.DB, resource string, p models.Party, by models.ReceiptActor, action models.Action) (*models.ReceiptRight, error) {
	may := "may_receive"
	if action.Sends() {
		may = "may_send"
	}
	var found []models.Delegation
	at := s.clock()
	err := tx.Where("(valid_from IS NULL OR valid_from <= ?) AND (valid_to IS NULL OR valid_to > ?)", at, at).Order("resource_id DESC").Limit(1).
		Find(&found, "principal = ? AND supplier = ? AND resource_id IN ? AND "+may, p, by.Supplier, []string{"", resource}).Error
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
