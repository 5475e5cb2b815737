package tus

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// Late finds who a request is from whose token was refused, if all that is wrong with it is that it expired during an
// upload of its organisation: such a token may finish the upload, of several parts by the final request only. Otherwise
// the answer is the refusal, whatever the transfer is.
func (t *Handler) Late(c *gin.Context, refused error) (models.Caller, error) {
	if c.Request.Method == http.MethodPost && !strings.HasPrefix(c.GetHeader("Upload-Concat"), "final;") {
		return models.Caller{}, refused
	}
	id, err := uuid.Parse(c.Param("fileTransferId"))
	if err != nil {
		return models.Caller{}, refused
	}
	caller, expired, err := t.Logins.AuthenticateLate(c.Request)
	if err != nil || expired.IsZero() {
		return models.Caller{}, refused
	}
	open, err := t.Resumables.OpenedBefore(c.Request.Context(), id, caller.Party, expired)
	if err != nil {
		return models.Caller{}, err
	}
	if !open {
		return models.Caller{}, refused
	}
	return caller, nil
}
