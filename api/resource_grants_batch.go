package api

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/models"
)

// maxGrantRows bounds a batch: its transaction keeps acceptances in the service waiting.
const maxGrantRows = 1000

// ChangeGrants makes many changes of grants in one transaction, with an answer for each.
func (s *Server) ChangeGrants(c *gin.Context, id ResourceID) {
	var body GrantBatch
	resource, err := service(id)
	if err == nil {
		err = readJSON(c, &body, true)
	}
	var changes []models.GrantChange
	if err == nil {
		changes, err = readBatch(resource, body)
	}
	var results []models.GrantResult
	if err == nil {
		results, err = s.Registry.PutGrants(c.Request.Context(), actor(c), resource, changes, body.AllOrNothing == nil || *body.AllOrNothing)
	}
	s.finish(c, err, func() { c.JSON(http.StatusOK, batchResult(changes, results)) })
}

// readBatch reads the rows and names all that is wrong with them, each field with its row.
func readBatch(resource string, body GrantBatch) ([]models.GrantChange, error) {
	if n := len(body.Rows); n == 0 || n > maxGrantRows {
		return nil, models.InvalidField("rows", fmt.Sprintf("A batch has 1 to %d rows.", maxGrantRows))
	}
	var bad []models.FieldError
	first := map[models.Party]int{}
	out := make([]models.GrantChange, len(body.Rows))
	for i, row := range body.Rows {
		change, err := readRow(row)
		if e, known := models.AsError(err); known {
			for _, f := range e.Fields {
				bad = append(bad, models.FieldError{Field: fmt.Sprintf("rows[%d].%s", i, f.Field), Message: f.Message})
			}
		} else if at, twice := first[change.Grant.Organisation]; twice {
			bad = append(bad, models.FieldError{Field: fmt.Sprintf("rows[%d].organization", i), Message: fmt.Sprintf("The organisation stands in row %d already.", at)})
		}
		first[change.Grant.Organisation] = i
		change.Grant.ResourceID = resource
		out[i] = change
	}
	return out, models.Invalid(bad)
}

func readRow(row GrantRow) (models.GrantChange, error) {
	party, err := registered("organization", row.Organization)
	if err != nil {
		return models.GrantChange{}, err
	}
	change := models.GrantChange{Delete: value(row.Delete)}
	if !change.Delete {
		if change.Grant, err = readGrant(row); err != nil {
			return change, err
		}
	}
	change.Grant.Organisation = party
	if row.IfMatch != nil {
		change.Condition.Version, change.Condition.Exists, err = matching("ifMatch", *row.IfMatch)
	}
	return change, err
}

func batchResult(changes []models.GrantChange, results []models.GrantResult) GrantBatchResult {
	out := GrantBatchResult{Results: make([]GrantRowResult, len(results))}
	for i, r := range results {
		row := GrantRowResult{Organization: string(r.Grant.Organisation)}
		e, refused := models.AsError(r.Err)
		switch {
		case refused:
			row.Status, row.Code, row.Detail, row.Errors = GrantRowResultStatusRefused, ref(e.Code), ref(e.Message), fieldErrors(e.Fields)
		case changes[i].Delete:
			row.Status = GrantRowResultStatusDeleted
		case r.Created:
			row.Status, row.Etag = GrantRowResultStatusCreated, ref(tag(r.Grant.Version))
		default:
			row.Status, row.Etag = GrantRowResultStatusChanged, ref(tag(r.Grant.Version))
		}
		if !refused {
			out.Applied++
		}
		out.Results[i] = row
	}
	return out
}
