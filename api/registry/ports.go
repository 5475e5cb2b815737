package registry

import (
	"context"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// Services keeps service owners, their services and who may use them.
type Services interface {
	InsertServiceOwner(ctx context.Context, by models.Caller, name string) error
	ServiceOwner(ctx context.Context, organisation models.Party) (models.ServiceOwner, error)
	PutResource(ctx context.Context, by models.Caller, id string, patch models.ResourcePatch, cond models.Condition) (models.Resource, error)
	ResourceByID(ctx context.Context, id string) (models.Resource, error)
	ResourcesOf(ctx context.Context, owner models.Party, after string, limit int) ([]models.Resource, error)
}

// Store is what organisations decide about their services, about who acts for them, and how.
type Store interface {
	Grants
	AccessLists
	AccessListConnections
	AccessRequests
	Delegations
	Clients
	CredentialLocks
	Audit
}

// Grants are rights of one organisation in one service; their owner decides.
type Grants interface {
	Grants(ctx context.Context, owner models.Party, resource string, after models.Party, limit int) ([]models.Grant, error)
	GrantOf(ctx context.Context, owner models.Party, resource string, organisation models.Party) (models.Grant, error)
	PutGrant(ctx context.Context, by models.Caller, g models.Grant, cond models.Condition) (put models.Grant, created bool, err error)
	PutGrants(ctx context.Context, by models.Caller, resource string, changes []models.GrantChange, allOrNothing bool) ([]models.GrantResult, error)
	DeleteGrant(ctx context.Context, by models.Caller, resource string, organisation models.Party, cond models.Condition) error
	RegistryOf(ctx context.Context, resource string, q models.Question) (models.Registry, error)
}

// AccessLists are sets of organisations.
type AccessLists interface {
	AccessLists(ctx context.Context, owner models.Party, after string, limit int) ([]models.AccessList, error)
	AccessListOf(ctx context.Context, owner models.Party, id string) (models.AccessList, error)
	PutAccessList(ctx context.Context, by models.Caller, l models.AccessList, cond models.Condition) (put models.AccessList, created bool, err error)
	DeleteAccessList(ctx context.Context, by models.Caller, id string, cond models.Condition) error
	AccessListMembers(ctx context.Context, owner models.Party, id string, after models.Party, limit int) ([]models.AccessListMember, error)
	ChangeMembers(ctx context.Context, by models.Caller, id string, m models.MemberChange, cond models.Condition) (version int64, err error)
}

// AccessListConnections say what the members of a list may do in a service.
type AccessListConnections interface {
	AccessListConnections(ctx context.Context, owner models.Party, list string) ([]models.AccessListConnection, error)
	AccessListConnectionOf(ctx context.Context, owner models.Party, list, resource string) (models.AccessListConnection, error)
	PutAccessListConnection(ctx context.Context, by models.Caller, n models.AccessListConnection, cond models.Condition) (put models.AccessListConnection, created bool, err error)
	DeleteAccessListConnection(ctx context.Context, by models.Caller, list, resource string, cond models.Condition) error
}

// AccessRequests are wishes for rights.
type AccessRequests interface {
	RequestAccess(ctx context.Context, by models.Caller, r models.AccessRequest) (models.AccessRequest, error)
	AccessRequestsIn(ctx context.Context, owner models.Party, q models.AccessRequestQuery) ([]models.AccessRequest, error)
	AccessRequestsOf(ctx context.Context, organisation models.Party, q models.AccessRequestQuery) ([]models.AccessRequest, error)
	AccessRequestFor(ctx context.Context, viewer models.Party, id uuid.UUID) (models.AccessRequest, error)
	WithdrawAccessRequest(ctx context.Context, by models.Caller, id uuid.UUID, cond models.Condition) error
	AnswerAccessRequest(ctx context.Context, by models.Caller, id uuid.UUID, a models.AccessAnswer, cond models.Condition) (models.AccessRequest, error)
}

// Delegations let suppliers act for an organisation.
type Delegations interface {
	Delegations(ctx context.Context, principal models.Party) ([]models.Delegation, error)
	DelegationsTo(ctx context.Context, supplier models.Party) ([]models.Delegation, error)
	DelegationOf(ctx context.Context, principal, supplier models.Party, resource string) (models.Delegation, error)
	PutDelegation(ctx context.Context, by models.Caller, d models.Delegation, cond models.Condition) (put models.Delegation, created bool, err error)
	DeleteDelegation(ctx context.Context, by models.Caller, d models.Delegation, cond models.Condition) error
}

// Clients are keys that organisations registered.
type Clients interface {
	ClientsOf(ctx context.Context, organisation models.Party) ([]models.Client, error)
	ClientByID(ctx context.Context, id string) (models.Client, error)
	PutClient(ctx context.Context, by models.Caller, r models.Client, cond models.Condition) (models.Client, error)
	DeleteClient(ctx context.Context, by models.Caller, id string, cond models.Condition) error
}

// CredentialLocks say which credentials alone act for an organisation.
type CredentialLocks interface {
	CredentialLockOf(ctx context.Context, organisation models.Party) (models.CredentialLock, error)
	PutCredentialLock(ctx context.Context, by models.Caller, l models.CredentialLock, cond models.Condition) (put models.CredentialLock, created bool, err error)
	DeleteCredentialLock(ctx context.Context, by models.Caller, cond models.Condition) error
}

// Audit tells who changed what.
type Audit interface {
	AuditOf(ctx context.Context, chain models.Party, p models.AuditPage) (entries []models.AuditEntry, more bool, err error)
	AuditOfResource(ctx context.Context, owner models.Party, resource string, p models.AuditPage) (entries []models.AuditEntry, more bool, err error)
}
