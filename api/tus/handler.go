package tus

import (
	"log/slog"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/formidling/formidling/api/bytepath"
)

// Ports is what the room needs of the rest of the program.
type Ports struct {
	Resumables Resumables
	Drafts     Drafts
	Staging    Staging
	Transfers  Transfers
	Contents   Contents
	Rights     Rights
	Sight      Sight
	Proofs     Proofs
	Logins     Logins
	Slots      *bytepath.Slots // of uploads in this process, shared with those of one request
	Log        *slog.Logger
	Now        func() time.Time
}

// Settings are limits of one installation.
type Settings struct {
	FinishWait     time.Duration // of a request for an upload that is whole to be published; 0: 15 s
	UploadPatience time.Duration // how long an upload may stand still; 0: bytepath.ReadPatience
}

// finishWait is how long a request waits for a file that is whole to be hashed, joined and published.
const finishWait = 15 * time.Second

// Handler answers the operations of uploads whose bytes come in several requests.
type Handler struct {
	Ports
	Settings
	writers    writers
	queue      partQueue
	publishing singleflight.Group  // of uploads that are complete, by upload
	ahead      singleflight.Group  // the hashing of parts before they are joined, by transfer
	hashing    *semaphore.Weighted // transfers whose parts are being hashed
	assembling *semaphore.Weighted // uploads of which an object is being made
}

// New makes the handlers of uploads in several requests.
func New(p Ports, s Settings) *Handler {
	return &Handler{
		Ports: p, Settings: s,
		hashing: semaphore.NewWeighted(hashAtOnce), assembling: semaphore.NewWeighted(assembleAtOnce),
	}
}
