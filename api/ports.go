package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
)

// Authenticator knows who a request is from; its errors wrap models.ErrUnauthenticated.
type Authenticator interface {
	Authenticate(r *http.Request) (models.Caller, error)
	// AuthenticateLate takes a token that has expired too, and then tells when it did.
	AuthenticateLate(r *http.Request) (caller models.Caller, expired time.Time, err error)
}

// Tokens is the token endpoint.
type Tokens interface {
	Exchange(ctx context.Context, r identity.TokenRequest) (identity.TokenAnswer, error) // what the client did wrong is an *identity.TokenError
	KeySet() jose.JSONWebKeySet
	Metadata() identity.Metadata
}

// Transfers is the door to the workflows, which alone change transfers.
type Transfers interface {
	Initialize(ctx context.Context, s models.Submission) (duplicate bool, err error)
	ContentReceived(ctx context.Context, transfer, attempt uuid.UUID) (models.TransferStatus, error)
	Confirm(ctx context.Context, transfer uuid.UUID, group int, party models.Party) error
	Cancel(ctx context.Context, transfer uuid.UUID) error
	Ready(ctx context.Context) error
}

// Views reads transfers as a party may see them.
type Views interface {
	TransferFor(ctx context.Context, id uuid.UUID, viewer models.Party) (models.TransferView, error)
	TransferDetails(ctx context.Context, id uuid.UUID, viewer models.Party) (models.TransferView, error)
	SearchTransfers(ctx context.Context, q models.Search) (models.SearchPage, error)
	Ready(ctx context.Context) error
}

// Uploads appends facts about uploads.
type Uploads interface {
	BeginUpload(ctx context.Context, a models.UploadAttempt, lease time.Duration) error
	AdoptUpload(ctx context.Context, attempt, transfer uuid.UUID) error
	RenewLease(ctx context.Context, attempt uuid.UUID, lease time.Duration) error
	EndUpload(ctx context.Context, attempt uuid.UUID) error
	StageContent(ctx context.Context, transfer, attempt uuid.UUID, c models.Content, by models.Caller) error
	StagedAttempt(ctx context.Context, transfer uuid.UUID, idempotencyKey string) (*uuid.UUID, error)
}

// Resumables keeps the state of uploads whose bytes come in several requests.
type Resumables interface {
	OpenTus(ctx context.Context, u models.TusUpload) (models.TusUpload, error)
	JoinTus(ctx context.Context, u models.TusUpload) (models.TusUpload, error)
	TusOf(ctx context.Context, transfer uuid.UUID, part *uuid.UUID) (models.TusUpload, error)
	TusParts(ctx context.Context, transfer uuid.UUID) ([]models.TusUpload, error)
	SpentTusShares(ctx context.Context, transfer uuid.UUID) ([]uuid.UUID, error)
	EndTus(ctx context.Context, upload uuid.UUID) error
	RejectTus(ctx context.Context, upload uuid.UUID) error
	OpenedBefore(ctx context.Context, transfer uuid.UUID, sender models.Party, at time.Time) (bool, error)
	StaleTus(ctx context.Context, limit int) (expired, unfinished []models.TusUpload, err error)
	TusWriting
	TusDigests
}

// TusWriting adds to what is durable of an upload.
type TusWriting interface {
	ClaimTus(ctx context.Context, upload uuid.UUID, offset int64, length *int64) (epoch int64, err error)
	CommitTus(ctx context.Context, upload uuid.UUID, epoch int64, p models.TusProgress) error
	WatchTus(ctx context.Context, upload uuid.UUID, epoch int64) error
	ReleaseTus(ctx context.Context, upload uuid.UUID, epoch int64) error
	HoldTus(ctx context.Context, upload uuid.UUID, lease time.Duration) error
	LastTusSegment(ctx context.Context, upload uuid.UUID) ([]models.TusSegment, error)
	TusSegments(ctx context.Context, uploads ...uuid.UUID) ([]models.TusSegment, error)
	ForgetTusSegments(ctx context.Context, uploads ...uuid.UUID) error
}

// TusDigests keeps how far parts are hashed.
type TusDigests interface {
	HoldDigest(ctx context.Context, transfer uuid.UUID, lease time.Duration) (d models.TusDigest, held bool, err error)
	SaveDigest(ctx context.Context, d models.TusDigest, lease time.Duration) error
}

// Drafts is the object storage, of uploads whose bytes come in several requests.
type Drafts interface {
	Append(ctx context.Context, d models.TusDraft, body io.Reader, a models.TusAppend) error
	Assemble(ctx context.Context, a models.TusAssembly) (models.Content, error)
	Digest(ctx context.Context, segments []models.TusSegment, at int64, h models.HashState, save func(at int64, h models.HashState) error) error
}

// Downloads appends facts about downloads.
type Downloads interface {
	BeginAccess(ctx context.Context, transfer uuid.UUID, by models.Caller, first, length int64) (uuid.UUID, error)
	NoteAccess(ctx context.Context, access uuid.UUID, sent int64) error
	EndAccess(ctx context.Context, access uuid.UUID, sent int64) error
}

// Services keeps service owners, their services and who may use them.
type Services interface {
	InsertServiceOwner(ctx context.Context, by models.Caller, name string) error
	ServiceOwner(ctx context.Context, organisation models.Party) (models.ServiceOwner, error)
	PutResource(ctx context.Context, by models.Caller, id string, patch models.ResourcePatch, cond models.Condition) (models.Resource, error)
	ResourceByID(ctx context.Context, id string) (models.Resource, error)
	ResourcesOf(ctx context.Context, owner models.Party, after string, limit int) ([]models.Resource, error)
}

// Rights answers who may do what now.
type Rights interface {
	CheckCaller(ctx context.Context, by models.Caller) error
	Permit(ctx context.Context, resource string, q models.Question) error
	LookAs(ctx context.Context, resource string, by models.Caller) ([]models.Role, error)
	RightsOf(ctx context.Context, resource string, organisation models.Party) (send, receive bool, err error)
}

// Registry is what organisations decide about their services, about who acts for them, and how.
type Registry interface {
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

// Contents is the object storage.
type Contents interface {
	Put(ctx context.Context, key string, body io.Reader, limit int64, without ...models.Hash) (models.Content, error)
	Open(ctx context.Context, c models.Content, offset, length int64) (io.ReadCloser, error)
	DeleteAll(ctx context.Context, prefix string) error
	Ready(ctx context.Context) error
}
