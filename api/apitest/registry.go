package apitest

import (
	"net/http"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// May tells whether an organisation may do something in the service, by the decision that anybody can ask for.
func (b *Bundle) May(action models.Action, p models.Party) bool {
	b.T.Helper()
	query := "?action=receive&to=" + p.Number()
	if action == models.ActionSend {
		query = "?action=send&from=" + p.Number()
	}
	var d contract.Decision
	b.Call(Owner, "GET", "/resource/"+Service+"/decision"+query, "").Is(http.StatusOK, "").JSON(&d)
	return d.Decision == contract.DecisionDecisionAllow
}

// Ask asks for the right to send in the service.
func (b *Bundle) Ask(p models.Party) contract.AccessRequest {
	b.T.Helper()
	var r contract.AccessRequest
	b.Call(p, "POST", "/resource/"+Service+"/access-requests", `{"send":true,"text":"please"}`).Is(http.StatusCreated, "").JSON(&r)
	return r
}

// IdentityPath is where the operations on identities begin.
const IdentityPath = "/identity/api/v1"

// ByToken is a token that a certificate bought: it may have leaked.
func ByToken(c *models.Caller) { c.Credential.Method = models.LoginCertificateToken }

// Grants is the path of the grants of the service.
const Grants = "/resource/" + Service + "/grants"
