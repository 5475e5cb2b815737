package cli

import (
	"github.com/spf13/cobra"

	"github.com/formidling/formidling/internal/settings"
)

// Options are what the commands need of the program that they are part of.
type Options struct {
	// Environ is the environment, as NAME=value.
	Environ []string
	// ServerSettings are names that mean something to a server, so that no client refuses them.
	ServerSettings []string
	// Server tells how the broker of this machine is configured.
	Server func() (Server, error)
}

// Server is what the commands need of the broker that shares their environment: token makes up its organisations.
type Server struct {
	Listen, PublicURL, Data string
}

// Commands are those of clients.
type Commands struct {
	Options
	environment map[string]string
}

// New prepares the commands of clients.
func New(o Options) *Commands {
	return &Commands{Options: o, environment: settings.Environment(o.Environ)}
}

// All are the commands themselves.
func (c *Commands) All() []*cobra.Command {
	return []*cobra.Command{c.send(), c.inbox(), c.receive(), c.status(), c.token(), receiptCommand()}
}

// config is a new one: each command reads settings for itself.
func (c *Commands) config() *config { return &config{commands: c} }
