package api

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/models"
)

// ListRights lists who may do what in a service of the caller.
func (s *Server) ListRights(c *gin.Context, id ResourceID) {
	err := models.CheckResourceID(id)
	var rights []models.Grant
	if err == nil {
		rights, err = s.Grants.Grants(c.Request.Context(), caller(c), models.ResourceID(id), "", 100)
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
		err = s.putRight(c, models.Grant{ResourceID: models.ResourceID(id), Organisation: party, Terms: models.Terms{Effect: models.EffectAllow, MaySend: *body.Send, MayReceive: *body.Receive}})
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (s *Server) putRight(c *gin.Context, r models.Grant) error {
	if !r.MaySend && !r.MayReceive {
		return s.Grants.DeleteGrant(c.Request.Context(), actor(c), r.ResourceID, r.Organisation, models.Condition{Unconditional: true})
	}
	_, err := s.Grants.PutGrant(c.Request.Context(), actor(c), r, models.Condition{Unconditional: true})
	return err
}

// DeleteRight takes all rights of an organisation in a service of the caller.
func (s *Server) DeleteRight(c *gin.Context, id ResourceID, organization Organization) {
	party, err := rightInPath(id, organization)
	if err == nil {
		err = s.Grants.DeleteGrant(c.Request.Context(), actor(c), models.ResourceID(id), party, models.Condition{Unconditional: true})
	}
	if err != nil && !errors.Is(err, models.ErrEntryNotFound) {
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
