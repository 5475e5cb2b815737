package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/bytepath"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/events"
	"github.com/formidling/formidling/api/receipts"
	"github.com/formidling/formidling/api/registry"
	"github.com/formidling/formidling/api/tus"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/models"
)

// The rooms, under names of their own so that one struct can embed them all.
type (
	registryRoom = registry.Handler
	tusRoom      = tus.Handler
	eventsRoom   = events.Handler
	receiptsRoom = receipts.Handler
)

// Server answers the operations of openapi.yaml: those of transfers itself, the others by its rooms.
type Server struct {
	*registryRoom
	*tusRoom
	*eventsRoom
	*receiptsRoom
	Ports
	Settings
	sight              sight
	uploads, downloads *bytepath.Slots
}

// Ports is what the server needs of the rest of the program.
type Ports struct {
	Authenticator Authenticator
	Tokens        Tokens // nil: there is no token endpoint
	Transfers     Transfers
	Views         Views
	Uploads       Uploads
	Resumables    tus.Resumables
	Drafts        tus.Drafts
	Downloads     Downloads
	Services      registry.Services
	Rights        Rights
	Registry      registry.Store
	Contents      Contents
	Subscriptions events.Subscriptions
	Subscribers   events.Subscribers
	Webhooks      events.Webhooks
	Feed          events.Feed
	Closing       <-chan struct{}   // closed when the process is about to stop; nil: never
	Receipts      receipts.Store    // nil: none are kept
	Evidence      receipts.Evidence // nil: without keys nothing can be shown
	Proofs        receipts.Proofs   // nil: no certificates are trusted
	Log           *slog.Logger
	Now           func() time.Time // the clock; nil: the system's
}

// Settings are the limits of one installation.
type Settings struct {
	MaxRecipients int           // of one transfer
	UploadSlots   int           // uploads at once in this process
	FinishWait    time.Duration // of a request for a resumable upload that is whole to be published; 0: 15 s
	Environment   string        // what GET /serviceowner calls this installation
	RecheckRight  time.Duration // of a running download; 0: 10 s
	PublicURL     string        // how clients reach the API
	MTLSURL       string        // and with certificates

	EventListeners int           // who may wait for events at once in this process
	Heartbeat      time.Duration // of event streams; 0: 15 s

	// At once of one organisation in this process. 0: all slots but one, and no bound.
	UploadsPerOrganisation, DownloadsPerOrganisation int

	// How long an upload may stand still, and a client may take for one window of a download. 0:
	// bytepath.ReadPatience and bytepath.WritePatience.
	UploadPatience, DownloadPatience time.Duration
}

// New makes a server. Handler serves it.
func New(p Ports, s Settings) *Server {
	if p.Now == nil {
		p.Now = time.Now
	}
	out := &Server{
		Ports: p, Settings: s, sight: sight{p.Views, p.Rights},
		uploads:   bytepath.NewSlots(s.UploadSlots, s.UploadsPerOrganisation, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne),
		downloads: bytepath.NewSlots(0, s.DownloadsPerOrganisation, nil, models.ErrTooManyDownloadsOfOne),
	}
	out.registryRoom = registry.New(registry.Ports{Services: p.Services, Store: p.Registry, Now: p.Now}, s.Environment)
	out.receiptsRoom = receipts.New(receipts.Ports{Receipts: p.Receipts, Evidence: p.Evidence, Proofs: p.Proofs, Sight: out.sight})
	out.eventsRoom = events.New(events.Ports{
		Feed: p.Feed, Subscriptions: p.Subscriptions, Subscribers: p.Subscribers, Webhooks: p.Webhooks, Rights: p.Rights,
		Logins: p.Authenticator, Closing: p.Closing, Log: p.Log,
	}, events.Settings{PublicURL: s.PublicURL, MTLSURL: s.MTLSURL, EventListeners: s.EventListeners, Heartbeat: s.Heartbeat})
	out.tusRoom = tus.New(tus.Ports{
		Resumables: p.Resumables, Drafts: p.Drafts, Staging: p.Uploads, Transfers: p.Transfers, Contents: p.Contents, Rights: p.Rights,
		Sight: out.sight, Proofs: out.receiptsRoom, Logins: p.Authenticator, Slots: out.uploads, Log: p.Log, Now: p.Now,
	}, tus.Settings{FinishWait: s.FinishWait, UploadPatience: s.UploadPatience})
	return out
}

// Handler returns all routes. It trusts no proxy header, answers panics with a problem document,
// and takes a trailing slash for none, as ASP.NET does.
func (s *Server) Handler() (http.Handler, error) {
	r, err := s.routes()
	if err != nil {
		return nil, err
	}
	return timely(withoutTrailingSlash(tus.WithForms(r))), nil
}

func (s *Server) routes() (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	if err := r.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	r.RedirectTrailingSlash, r.HandleMethodNotAllowed = false, true
	r.Use(s.observe, headers, s.recover)
	mountDocs(r) // pages for people, which are no operations and ask for no credential
	r.Use(tus.CheckVersion, s.authenticate, acceptable)
	r.NoRoute(func(c *gin.Context) { web.Problem(c, models.ErrNoSuchRoute) })
	r.NoMethod(func(c *gin.Context) { web.Problem(c, web.ErrNoMethod) })
	contract.RegisterHandlersWithOptions(r, s, contract.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { web.Problem(c, web.ParameterError(err)) },
	})
	return r, nil
}

// timely bounds how long a request's body may take to come, also when its handler does not want it: net/http
// waits for the rest before it answers. Uploads move the deadline on while bytes arrive.
func timely(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bytepath.ReadPatience)) // test recorders have no connection
		}
		next.ServeHTTP(w, r)
	})
}

func withoutTrailingSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; len(p) > 1 && strings.HasSuffix(p, "/") && !strings.HasPrefix(p, docsPath) {
			trimmed := *r
			u := *r.URL
			u.Path, u.RawPath = strings.TrimRight(p, "/"), strings.TrimRight(u.RawPath, "/")
			trimmed.URL = &u
			r = &trimmed
		}
		next.ServeHTTP(w, r)
	})
}
