package registry

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// maxGrantRows bounds a batch: its transaction keeps acceptances in the service waiting.
const maxGrantRows = 1000

// ChangeGrants makes many changes of grants in one transaction, with an answer for each.
func (h *Handler) ChangeGrants(c *gin.Context, id contract.ResourceID) {
	var body contract.GrantBatch
	resource, err := service(id)
	if err == nil {
		err = web.ReadJSON(c, &body, true)
	}
	var changes []models.GrantChange
	if err == nil {
		changes, err = readBatch(resource, body)
	}
	var results []models.GrantResult
	if err == nil {
		results, err = h.Store.PutGrants(c.Request.Context(), web.Actor(c), resource, changes, allOrNothing(body))
	}
	web.Finish(c, err, func() { c.JSON(http.StatusOK, batchResult(body.Rows, changes, results)) })
}

func allOrNothing(b contract.GrantBatch) bool { return b.AllOrNothing == nil || *b.AllOrNothing }

// readBatch reads the rows. When one cannot be read, a batch that is all or nothing is refused with every fault of
// every row; of another batch that row alone is.
func readBatch(resource string, body contract.GrantBatch) ([]models.GrantChange, error) {
	if n := len(body.Rows); n == 0 || n > maxGrantRows {
		return nil, models.InvalidField("rows", fmt.Sprintf("A batch has 1 to %d rows.", maxGrantRows))
	}
	var bad []models.FieldError
	first := map[models.Party]int{}
	out := make([]models.GrantChange, len(body.Rows))
	for i, row := range body.Rows {
		change, err := readRow(row)
		if at, twice := first[change.Grant.Organisation]; err == nil && twice {
			err = models.InvalidField("organization", fmt.Sprintf("The organisation stands in row %d already.", at))
		} else if err == nil {
			first[change.Grant.Organisation] = i
		}
		if e, known := models.AsError(err); known {
			for _, f := range e.Fields {
				bad = append(bad, models.FieldError{Field: fmt.Sprintf("rows[%d].%s", i, f.Field), Message: f.Message})
			}
		}
		change.Grant.ResourceID, change.Unread = resource, err
		out[i] = change
	}
	if allOrNothing(body) {
		return out, models.Invalid(bad)
	}
	return out, nil
}

func readRow(row contract.GrantRow) (models.GrantChange, error) {
	party, err := models.ParseRegistered("organization", row.Organization)
	if err != nil {
		return models.GrantChange{}, err
	}
	change := models.GrantChange{Delete: web.Value(row.Delete)}
	if !change.Delete {
		if change.Grant, err = readGrant(row); err != nil {
			return change, err
		}
	}
	change.Grant.Organisation = party
	if row.IfMatch != nil {
		change.Condition.Version, change.Condition.Exists, err = web.Matching("ifMatch", *row.IfMatch)
	}
	return change, err
}

func batchResult(rows []contract.GrantRow, changes []models.GrantChange, results []models.GrantResult) contract.GrantBatchResult {
	out := contract.GrantBatchResult{Results: make([]contract.GrantRowResult, len(results))}
	for i, r := range results {
		row := contract.GrantRowResult{Organization: string(r.Grant.Organisation)}
		if changes[i].Unread != nil {
			row.Organization = rows[i].Organization // as it was sent
		}
		e, refused := models.AsError(r.Err)
		switch {
		case refused:
			row.Status, row.Code, row.Detail, row.Errors = contract.GrantRowResultStatusRefused, web.Ref(e.Code), web.Ref(e.Message), web.FieldErrors(e.Fields)
		case changes[i].Delete:
			row.Status = contract.GrantRowResultStatusDeleted
		case r.Created:
			row.Status, row.Etag = contract.GrantRowResultStatusCreated, web.Ref(web.Tag(r.Grant.Version))
		default:
			row.Status, row.Etag = contract.GrantRowResultStatusChanged, web.Ref(web.Tag(r.Grant.Version))
		}
		if !refused {
			out.Applied++
		}
		out.Results[i] = row
	}
	return out
}
