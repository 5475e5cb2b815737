package api

import (
	"slices"

	"github.com/formidling/formidling/models"
)

// Who may call what. A scope is needed of those that stand with the operation: one of them.
var (
	write   = []string{models.ScopeWrite}
	read    = []string{models.ScopeRead}
	parties = []string{models.ScopeWrite, models.ScopeRead}
	owners  = []string{models.ScopeServiceOwner}
	told    = []string{models.ScopeWrite, models.ScopeRead, models.ScopeEvents}
	anyOf   = models.AllScopes()
)

// scopes names what each operation asks of a credential: one of these. A route that stands neither here nor
// in public answers nobody, so a forgotten entry opens nothing.
var scopes = map[string][]string{
	"POST /broker/api/v1/filetransfer":                                 write,
	"GET /broker/api/v1/filetransfer":                                  parties,
	"POST /broker/api/v1/filetransfer/upload":                          write,
	"GET /broker/api/v1/filetransfer/:fileTransferId":                  parties,
	"GET /broker/api/v1/filetransfer/:fileTransferId/details":          parties,
	"POST /broker/api/v1/filetransfer/:fileTransferId/upload":          write,
	"POST /broker/api/v1/filetransfer/:fileTransferId/cancel":          write,
	"GET /broker/api/v1/filetransfer/:fileTransferId/download":         read,
	"HEAD /broker/api/v1/filetransfer/:fileTransferId/download":        read,
	"POST /broker/api/v1/filetransfer/:fileTransferId/confirmdownload": read,
	"POST /broker/api/v1/resource/:resourceId/access-requests":         parties,
	"GET /events/api/v1/events":                                        told,

	"GET /broker/api/v1/filetransfer/:fileTransferId/receipts":          parties,
	"GET /broker/api/v1/filetransfer/:fileTransferId/receipts/bundle":   parties,
	"POST /broker/api/v1/filetransfer/:fileTransferId/acknowledgements": parties,
	"GET /broker/api/v1/filetransfer/:fileTransferId/timeline":          anyOf,
	"GET /broker/api/v1/receipts":                                       parties,

	"POST /broker/api/v1/filetransfer/upload/tus/:fileTransferId":                            write,
	"HEAD /broker/api/v1/filetransfer/upload/tus/:fileTransferId":                            write,
	"PATCH /broker/api/v1/filetransfer/upload/tus/:fileTransferId":                           write,
	"DELETE /broker/api/v1/filetransfer/upload/tus/:fileTransferId":                          write,
	"HEAD /broker/api/v1/filetransfer/upload/tus/:fileTransferId/partial/:partialUploadId":   write,
	"PATCH /broker/api/v1/filetransfer/upload/tus/:fileTransferId/partial/:partialUploadId":  write,
	"DELETE /broker/api/v1/filetransfer/upload/tus/:fileTransferId/partial/:partialUploadId": write,

	"GET /broker/api/v1/resource":                                                                              owners,
	"GET /broker/api/v1/resource/:resourceId":                                                                  owners,
	"PUT /broker/api/v1/resource/:resourceId":                                                                  owners,
	"DELETE /broker/api/v1/resource/:resourceId":                                                               owners,
	"GET /broker/api/v1/resource/:resourceId/grants":                                                           owners,
	"POST /broker/api/v1/resource/:resourceId/grants/batch":                                                    owners,
	"GET /broker/api/v1/resource/:resourceId/grants/:organization":                                             owners,
	"PUT /broker/api/v1/resource/:resourceId/grants/:organization":                                             owners,
	"DELETE /broker/api/v1/resource/:resourceId/grants/:organization":                                          owners,
	"GET /broker/api/v1/resource/:resourceId/audit":                                                            owners,
	"GET /broker/api/v1/resource/:resourceId/access-requests":                                                  owners,
	"POST /broker/api/v1/access-requests/:accessRequestId/approve":                                             owners,
	"POST /broker/api/v1/access-requests/:accessRequestId/deny":                                                owners,
	"GET /broker/api/v1/serviceowner":                                                                          owners,
	"POST /broker/api/v1/serviceowner":                                                                         owners,
	"GET /resourceregistry/api/v1/access-lists/:owner":                                                         owners,
	"GET /resourceregistry/api/v1/access-lists/:owner/:identifier":                                             owners,
	"PUT /resourceregistry/api/v1/access-lists/:owner/:identifier":                                             owners,
	"DELETE /resourceregistry/api/v1/access-lists/:owner/:identifier":                                          owners,
	"GET /resourceregistry/api/v1/access-lists/:owner/:identifier/members":                                     owners,
	"PUT /resourceregistry/api/v1/access-lists/:owner/:identifier/members":                                     owners,
	"POST /resourceregistry/api/v1/access-lists/:owner/:identifier/members":                                    owners,
	"DELETE /resourceregistry/api/v1/access-lists/:owner/:identifier/members":                                  owners,
	"GET /resourceregistry/api/v1/access-lists/:owner/:identifier/resource-connections":                        owners,
	"GET /resourceregistry/api/v1/access-lists/:owner/:identifier/resource-connections/:resourceIdentifier":    owners,
	"PUT /resourceregistry/api/v1/access-lists/:owner/:identifier/resource-connections/:resourceIdentifier":    owners,
	"DELETE /resourceregistry/api/v1/access-lists/:owner/:identifier/resource-connections/:resourceIdentifier": owners,

	"GET /events/api/v1/subscriptions":                         told,
	"POST /events/api/v1/subscriptions":                        told,
	"GET /events/api/v1/subscriptions/:subscriptionId":         told,
	"DELETE /events/api/v1/subscriptions/:subscriptionId":      told,
	"POST /events/api/v1/subscriptions/:subscriptionId/test":   told,
	"POST /events/api/v1/subscriptions/:subscriptionId/enable": told,
	"POST /events/api/v1/subscriptions/:subscriptionId/replay": told,
	"POST /events/api/v1/subscriptions/:subscriptionId/rotate": told,

	"GET /authentication/api/v1/exchange/maskinporten":       anyOf,
	"GET /broker/api/v1/resource/:resourceId/decision":       anyOf,
	"GET /broker/api/v1/access-requests":                     anyOf,
	"GET /broker/api/v1/access-requests/:accessRequestId":    anyOf,
	"DELETE /broker/api/v1/access-requests/:accessRequestId": anyOf,
	"GET /identity/api/v1/me":                                anyOf,
	"GET /identity/api/v1/audit":                             owners,
	"GET /identity/api/v1/delegations":                       anyOf,
	"GET /identity/api/v1/delegations/:supplier":             anyOf,
	"PUT /identity/api/v1/delegations/:supplier":             anyOf,
	"DELETE /identity/api/v1/delegations/:supplier":          anyOf,
	"GET /identity/api/v1/credential-lock":                   anyOf,
	"PUT /identity/api/v1/credential-lock":                   anyOf,
	"DELETE /identity/api/v1/credential-lock":                anyOf,
	"GET /identity/api/v1/clients":                           anyOf,
	"POST /identity/api/v1/clients":                          anyOf,
	"GET /identity/api/v1/clients/:clientId":                 anyOf,
	"PUT /identity/api/v1/clients/:clientId":                 anyOf,
	"DELETE /identity/api/v1/clients/:clientId":              anyOf,
}

var public = map[string]bool{
	"POST /oauth2/token": true, "POST /token": true, "GET /.well-known/jwks.json": true, "GET /.well-known/oauth-authorization-server": true,
	"GET /events/api/v1/keys":   true,
	"GET /receipts/api/v1/jwks": true, "GET /receipts/api/v1/checkpoint": true, "GET /receipts/api/v1/tile": true,
	"GET /receipts/api/v1/proof/inclusion": true, "GET /receipts/api/v1/proof/consistency": true,
	"GET /livez": true, "GET /readyz": true, "GET /health": true, "GET /openapi.yaml": true,
	"OPTIONS /broker/api/v1/filetransfer/upload/tus/:fileTransferId":                          true,
	"OPTIONS /broker/api/v1/filetransfer/upload/tus/:fileTransferId/partial/:partialUploadId": true,
	"GET /": true, "HEAD /": true, "GET /docs": true, "HEAD /docs": true, "GET /docs/*asset": true, "HEAD /docs/*asset": true,
}

// withCertificate lists what only the organisation itself may do, over a connection with its enterprise certificate:
// whoever holds a lesser credential, such as a token that leaked, must not be able to make itself a lasting one.
var withCertificate = map[string]bool{
	"PUT /identity/api/v1/delegations/:supplier": true, "DELETE /identity/api/v1/delegations/:supplier": true,
	"PUT /identity/api/v1/credential-lock": true, "DELETE /identity/api/v1/credential-lock": true,
	"POST /identity/api/v1/clients": true, "PUT /identity/api/v1/clients/:clientId": true, "DELETE /identity/api/v1/clients/:clientId": true,
}

// withoutSupplier lists what else no supplier may do, or see, for an organisation.
var withoutSupplier = map[string]bool{
	"POST /broker/api/v1/resource/:resourceId/access-requests": true, "GET /broker/api/v1/access-requests": true,
	"GET /broker/api/v1/access-requests/:accessRequestId": true, "DELETE /broker/api/v1/access-requests/:accessRequestId": true,
	"GET /identity/api/v1/delegations": true, "GET /identity/api/v1/delegations/:supplier": true,
	"GET /identity/api/v1/credential-lock": true,
	"GET /identity/api/v1/clients":         true, "GET /identity/api/v1/clients/:clientId": true,
	// a subscription tells of all services, and endpoints may hold secrets
	"GET /events/api/v1/subscriptions": true, "POST /events/api/v1/subscriptions": true,
	"GET /events/api/v1/subscriptions/:subscriptionId": true, "DELETE /events/api/v1/subscriptions/:subscriptionId": true,
	"POST /events/api/v1/subscriptions/:subscriptionId/test": true, "POST /events/api/v1/subscriptions/:subscriptionId/enable": true,
	"POST /events/api/v1/subscriptions/:subscriptionId/replay": true, "POST /events/api/v1/subscriptions/:subscriptionId/rotate": true,
	"GET /broker/api/v1/receipts": true, // a delegation is for a service
}

// authorize tells whether the caller may call a route at all.
func authorize(route string, by models.Caller) error {
	asked := scopes[route]
	switch {
	case !by.Has(asked...):
		return models.ErrMissingScope
	case by.Supplier != "" && (slices.Equal(asked, owners) || withCertificate[route] || withoutSupplier[route]):
		return models.ErrNotForSuppliers
	case withCertificate[route] && by.Credential.Method != models.LoginCertificate:
		return models.ErrOwnCertificate
	}
	return nil
}

// answersNoJSON lists operations to which an Accept header that leaves out JSON does no harm.
var answersNoJSON = map[string]bool{
	"GET /broker/api/v1/filetransfer/:fileTransferId/receipts":                                                 true, // or a page
	"POST /broker/api/v1/filetransfer/:fileTransferId/acknowledgements":                                        true,
	"POST /broker/api/v1/filetransfer/upload/tus/:fileTransferId":                                              true,
	"HEAD /broker/api/v1/filetransfer/upload/tus/:fileTransferId":                                              true,
	"PATCH /broker/api/v1/filetransfer/upload/tus/:fileTransferId":                                             true,
	"DELETE /broker/api/v1/filetransfer/upload/tus/:fileTransferId":                                            true,
	"HEAD /broker/api/v1/filetransfer/upload/tus/:fileTransferId/partial/:partialUploadId":                     true,
	"PATCH /broker/api/v1/filetransfer/upload/tus/:fileTransferId/partial/:partialUploadId":                    true,
	"DELETE /broker/api/v1/filetransfer/upload/tus/:fileTransferId/partial/:partialUploadId":                   true,
	"GET /broker/api/v1/filetransfer/:fileTransferId/download":                                                 true,
	"HEAD /broker/api/v1/filetransfer/:fileTransferId/download":                                                true,
	"POST /broker/api/v1/filetransfer/:fileTransferId/confirmdownload":                                         true,
	"POST /broker/api/v1/filetransfer/:fileTransferId/cancel":                                                  true,
	"PUT /broker/api/v1/resource/:resourceId":                                                                  true,
	"DELETE /broker/api/v1/resource/:resourceId":                                                               true,
	"DELETE /broker/api/v1/access-requests/:accessRequestId":                                                   true,
	"DELETE /broker/api/v1/resource/:resourceId/grants/:organization":                                          true,
	"POST /broker/api/v1/serviceowner":                                                                         true,
	"PUT /resourceregistry/api/v1/access-lists/:owner/:identifier/members":                                     true,
	"POST /resourceregistry/api/v1/access-lists/:owner/:identifier/members":                                    true,
	"DELETE /resourceregistry/api/v1/access-lists/:owner/:identifier/members":                                  true,
	"DELETE /resourceregistry/api/v1/access-lists/:owner/:identifier":                                          true,
	"DELETE /resourceregistry/api/v1/access-lists/:owner/:identifier/resource-connections/:resourceIdentifier": true,
	"DELETE /identity/api/v1/delegations/:supplier":                                                            true,
	"DELETE /identity/api/v1/credential-lock":                                                                  true,
	"DELETE /identity/api/v1/clients/:clientId":                                                                true,
	"DELETE /events/api/v1/subscriptions/:subscriptionId":                                                      true,
	"GET /events/api/v1/events":                                                                                true, // it has forms of its own
}
