package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/models"
)

// ListRights lists who may do what in a service of the caller.
func (s *Server) ListRights(c *gin.Context, id ResourceID) {
	err := models.CheckResourceID(id)
	var rights []models.Right
	if err == nil {
		rights, err = s.Rights.Rights(c.Request.Context(), caller(c), models.ResourceID(id))
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	out := RightList{Rights: make([]Right, len(rights))}
	for i, r := range rights {
		out.Rights[i] = Right{Organization: string(r.Organisation), Send: r.MaySend, Receive: r.MayReceive}
	}
	c.JSON(http.StatusOK, out)
}

// PutRight gives an organisation exactly these rights in a service of the caller. They hold from the
// moment of the answer.
func (s *Server) PutRight(c *gin.Context, id ResourceID, organization Organization) {
	var body struct{ Send, Receive *bool }
	err := readJSON(c, &body, true)
	if err == nil && (body.Send == nil || body.Receive == nil) {
		err = models.InvalidField("send, receive", "Both fields are required.")
	}
	var party models.Party
	if err == nil {
		party, err = rightInPath(id, organization)
	}
	if err == nil {
		err = s.putRight(c, models.Right{ResourceID: models.ResourceID(id), Organisation: party, MaySend: *body.Send, MayReceive: *body.Receive})
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (s *Server) putRight(c *gin.Context, r models.Right) error {
	if !r.MaySend && !r.MayReceive {
		return s.Rights.DeleteRight(c.Request.Context(), caller(c), r.ResourceID, r.Organisation)
	}
	return s.Rights.PutRight(c.Request.Context(), caller(c), r)
}

// DeleteRight takes all rights of an organisation in a service of the caller.
func (s *Server) DeleteRight(c *gin.Context, id ResourceID, organization Organization) {
	party, err := rightInPath(id, organization)
	if err == nil {
		err = s.Rights.DeleteRight(c.Request.Context(), caller(c), models.ResourceID(id), party)
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func rightInPath(id ResourceID, organization Organization) (models.Party, error) {
	if err := models.CheckResourceID(id); err != nil {
		return "", err
	}
	return organisationInPath(organization)
}
