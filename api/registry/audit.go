package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// ListResourceAudit lists who changed what in a service of the caller.
func (h *Handler) ListResourceAudit(c *gin.Context, id contract.ResourceID, params contract.ListResourceAuditParams) {
	resource, err := service(id)
	var p models.AuditPage
	if err == nil {
		p, err = auditPage(params.After, params.Limit)
	}
	var rows []models.AuditEntry
	var more bool
	if err == nil {
		rows, more, err = h.Store.AuditOfResource(c.Request.Context(), web.Caller(c), resource, p)
	}
	h.auditList(c, rows, more, err)
}

// ListOwnAudit lists the whole chain of the caller.
func (h *Handler) ListOwnAudit(c *gin.Context, params contract.ListOwnAuditParams) {
	p, err := auditPage(params.After, params.Limit)
	var rows []models.AuditEntry
	var more bool
	if err == nil {
		rows, more, err = h.Store.AuditOf(c.Request.Context(), web.Caller(c), p)
	}
	h.auditList(c, rows, more, err)
}

func auditPage(after *contract.AuditAfter, limit *contract.PageSize) (models.AuditPage, error) {
	p, err := web.PageOf(nil, limit)
	if err == nil && web.Value(after) < 0 {
		err = models.InvalidField("after", "after must be a sequence number, 0 or more.")
	}
	return models.AuditPage{After: web.Value(after), Limit: p.Limit}, err
}

func (h *Handler) auditList(c *gin.Context, rows []models.AuditEntry, more bool, err error) {
	out := contract.AuditList{Entries: []contract.AuditEntry{}}
	for _, r := range rows {
		e := contract.AuditEntry{Seq: r.Seq, At: r.At.UTC(), Prev: r.Prev, Hash: r.Hash, Text: r.Entry}
		if bad := json.Unmarshal([]byte(r.Entry), &e.Entry); bad != nil && err == nil {
			err = fmt.Errorf("read audit entry %d: %w", r.Seq, bad)
		}
		out.Entries = append(out.Entries, e)
	}
	web.Finish(c, err, func() {
		if more {
			web.Link(c, web.Next(c, "after", strconv.FormatInt(rows[len(rows)-1].Seq, 10)))
		}
		c.JSON(http.StatusOK, out)
	})
}
