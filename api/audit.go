package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// ListResourceAudit lists who changed what in a service of the caller.
func (s *Server) ListResourceAudit(c *gin.Context, id contract.ResourceID, params contract.ListResourceAuditParams) {
	resource, err := service(id)
	var p models.AuditPage
	if err == nil {
		p, err = auditPage(params.After, params.Limit)
	}
	var rows []models.AuditEntry
	var more bool
	if err == nil {
		rows, more, err = s.Registry.AuditOfResource(c.Request.Context(), caller(c), resource, p)
	}
	s.auditList(c, rows, more, err)
}

// ListOwnAudit lists the whole chain of the caller.
func (s *Server) ListOwnAudit(c *gin.Context, params contract.ListOwnAuditParams) {
	p, err := auditPage(params.After, params.Limit)
	var rows []models.AuditEntry
	var more bool
	if err == nil {
		rows, more, err = s.Registry.AuditOf(c.Request.Context(), caller(c), p)
	}
	s.auditList(c, rows, more, err)
}

func auditPage(after *contract.AuditAfter, limit *contract.PageSize) (models.AuditPage, error) {
	p, err := pageOf(nil, limit)
	if err == nil && value(after) < 0 {
		err = models.InvalidField("after", "after must be a sequence number, 0 or more.")
	}
	return models.AuditPage{After: value(after), Limit: p.limit}, err
}

func (s *Server) auditList(c *gin.Context, rows []models.AuditEntry, more bool, err error) {
	out := contract.AuditList{Entries: []contract.AuditEntry{}}
	for _, r := range rows {
		e := contract.AuditEntry{Seq: r.Seq, At: r.At.UTC(), Prev: r.Prev, Hash: r.Hash, Text: r.Entry}
		if bad := json.Unmarshal([]byte(r.Entry), &e.Entry); bad != nil && err == nil {
			err = fmt.Errorf("read audit entry %d: %w", r.Seq, bad)
		}
		out.Entries = append(out.Entries, e)
	}
	s.finish(c, err, func() {
		if more {
			next := *c.Request.URL
			values := next.Query()
			values.Set("after", strconv.FormatInt(rows[len(rows)-1].Seq, 10))
			next.RawQuery = values.Encode()
			link(c, next.RequestURI())
		}
		c.JSON(http.StatusOK, out)
	})
}
