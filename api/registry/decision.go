package registry

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// maxAsked bounds the recipients of one question about rights.
const maxAsked = 100

// ExplainDecision tells whether somebody may do something in a service now, and what decides it.
func (h *Handler) ExplainDecision(c *gin.Context, id contract.ResourceID, params contract.ExplainDecisionParams) {
	resource, err := service(id)
	var q models.Question
	if err == nil {
		q, err = readQuestion(params)
	}
	var g models.Registry
	if err == nil {
		q.At = h.Now()
		g, err = h.Store.RegistryOf(c.Request.Context(), resource, q)
	}
	if err == nil {
		err = mayAsk(web.Actor(c), g.Resource.Owner, q)
	}
	web.Finish(c, err, func() {
		because, refusal := g.Explain(q)
		c.JSON(http.StatusOK, decisionOf(because, refusal, func(p models.Party) bool {
			return owns(web.Actor(c), g.Resource.Owner) || web.Caller(c) == p
		}))
	})
}

// owns tells whether the caller is the owner itself: its suppliers do not administer.
func owns(by models.Caller, owner models.Party) bool { return by.Party == owner && by.Supplier == "" }

// mayAsk refuses questions that concern others than who asks: the owner of the service asks about all, the one who
// would act about what it may do, and a recipient about itself alone, not through which supplier.
func mayAsk(by models.Caller, owner models.Party, q models.Question) error {
	others := func(p models.Party) bool { return p != by.Party }
	switch {
	case owns(by, owner), by.Party == q.By.Party && (by.Supplier == "" || by.Supplier == q.By.Supplier):
		return nil
	case len(q.To) > 0 && !slices.ContainsFunc(q.To, others) && q.By.Supplier == "":
		return nil
	}
	return models.ErrNoAccess
}

func readQuestion(params contract.ExplainDecisionParams) (models.Question, error) {
	q := models.Question{Action: models.Action(params.Action)}
	if q.By.Credential.Method = models.LoginMethod(web.Value(params.LoginMethod)); q.By.Credential.Method != "" && !slices.Contains(models.LoginMethods(), q.By.Credential.Method) {
		return q, models.InvalidField("loginMethod", fmt.Sprintf("The login method must be one of %v.", models.LoginMethods()))
	}
	if len(params.To) > maxAsked {
		return q, models.InvalidField("to", "At most 100 recipients can be asked about at once.")
	}
	for _, given := range params.To {
		p, err := models.ParseRegistered("to", given)
		if err != nil {
			return q, err
		}
		q.To = append(q.To, p)
	}
	var err error
	switch {
	case q.Action == models.ActionSend && web.Value(params.From) == "":
		return q, models.InvalidField("from", "from is required for send.")
	case q.Action == models.ActionSend:
		q.From, err = models.ParseRegistered("from", *params.From)
		q.By.Party = q.From
	case q.Action == models.ActionReceive && len(q.To) == 1:
		q.By.Party = q.To[0]
	case q.Action == models.ActionReceive:
		return q, models.InvalidField("to", "Exactly one organisation receives.")
	default:
		return q, models.InvalidField("action", "The action must be send or receive.")
	}
	if err == nil && web.Value(params.Supplier) != "" {
		q.By.Supplier, err = models.ParseRegistered("supplier", *params.Supplier)
	}
	return q, err
}

// decisionOf tells what may be told: the answer, and the reasons about those that may be seen.
func decisionOf(because []models.Reason, refusal error, mayBeTold func(models.Party) bool) contract.Decision {
	out := contract.Decision{Decision: contract.DecisionDecisionAllow, Reason: "It is allowed.", Because: []contract.DecisionReason{}}
	if e, refused := models.AsError(refusal); refused {
		out.Decision, out.Code, out.Reason = contract.DecisionDecisionDeny, web.Ref(e.Code), e.Message
	}
	for _, r := range because {
		if !mayBeTold(r.Organisation) {
			continue
		}
		reason := contract.DecisionReason{Organization: string(r.Organisation), Text: r.Text}
		if r.List != "" {
			reason.AccessList = web.Ref(r.List)
		}
		out.Because = append(out.Because, reason)
	}
	return out
}
