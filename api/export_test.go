package api

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/models"
)

// What the tests of this room look at inside.
var (
	MountDocs    = mountDocs
	ServeOpenAPI = serveOpenAPI
)

// DocsPath is where the pages are.
const DocsPath = docsPath

// Routes is the engine, to compare with the contract.
func (s *Server) Routes() (*gin.Engine, error) { return s.routes() }

// LeftOut are the hashes that a form's file is stored without, once this much of its metadata came.
func (s *Server) LeftOut(ctx context.Context, d models.Draft) []models.Hash {
	return (&form{s: s, draft: d}).leftOut(ctx)
}

// Bounds of the byte path.
const (
	ConnectionWindow = connectionWindow
	StreamWindow     = streamWindow
	StreamsAtOnce    = streamsAtOnce
	DownloadWindow   = downloadWindow
	MaxFormField     = maxFormField
	MaxFormText      = maxFormText
)
