package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/semaphore"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

// Server answers the operations of openapi.yaml.
type Server struct {
	Ports
	Settings
	uploads, downloads *slots
	listeners          listeners // who waits for events
	tusWriters         tusWriters
	tusTurns           turns
	tusFinishing       finishing
	tusAhead           finishing           // the hashing of parts before they are joined
	tusHashing         *semaphore.Weighted // transfers whose parts are being hashed
	tusAssembling      *semaphore.Weighted // uploads of which an object is being made
}

// Ports is what the server needs of the rest of the program.
type Ports struct {
	Authenticator Authenticator
	Tokens        Tokens // nil: there is no token endpoint
	Transfers     Transfers
	Views         Views
	Uploads       Uploads
	Resumables    Resumables
	Drafts        Drafts
	Downloads     Downloads
	Services      Services
	Rights        Rights
	Registry      Registry
	Contents      Contents
	Subscriptions Subscriptions
	Subscribers   Subscribers
	Webhooks      Webhooks
	Feed          Feed
	Closing       <-chan struct{} // closed when the process is about to stop; nil: never
	Receipts      Receipts        // nil: none are kept
	Evidence      Evidence        // nil: without keys nothing can be shown
	Proofs        Proofs          // nil: no certificates are trusted
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
	CanScan       bool          // whether files can be scanned
	PublicURL     string        // how clients reach the API
	MTLSURL       string        // and with certificates

	EventListeners int           // who may wait for events at once in this process
	Heartbeat      time.Duration // of event streams; 0: 15 s

	// At once of one organisation in this process. 0: all slots but one, and no bound.
	UploadsPerOrganisation, DownloadsPerOrganisation int

	// How long an upload may stand still, and a client may take for one window of a download. 0: ReadPatience and
	// WritePatience.
	UploadPatience, DownloadPatience time.Duration
}

// New makes a server. Handler serves it.
func New(p Ports, s Settings) *Server {
	return &Server{
		Ports: p, Settings: s,
		uploads:    newSlots(s.UploadSlots, s.UploadsPerOrganisation, models.ErrTooManyUploads, models.ErrTooManyUploadsOfOne),
		downloads:  newSlots(0, s.DownloadsPerOrganisation, nil, models.ErrTooManyDownloadsOfOne),
		tusHashing: semaphore.NewWeighted(hashAtOnce), tusAssembling: semaphore.NewWeighted(assembleAtOnce),
	}
}

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Handler returns all routes. It trusts no proxy header, answers panics with a problem document,
// and takes a trailing slash for none, as ASP.NET does.
func (s *Server) Handler() (http.Handler, error) {
	r, err := s.routes()
	if err != nil {
		return nil, err
	}
	return timely(withoutTrailingSlash(withTusForms(r))), nil
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
	r.Use(s.tus, s.authenticate, acceptable)
	r.NoRoute(func(c *gin.Context) { s.problem(c, errNoRoute) })
	r.NoMethod(func(c *gin.Context) { s.problem(c, errNoMethod) })
	contract.RegisterHandlersWithOptions(r, s, contract.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { s.problem(c, parameterError(err)) },
	})
	return r, nil
}

// timely bounds how long a request's body may take to come, also when its handler does not want it: net/http
// waits for the rest before it answers. Uploads move the deadline on while bytes arrive.
func timely(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(ReadPatience)) // test recorders have no connection
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
