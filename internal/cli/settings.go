package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/formidling/formidling/internal/settings"
)

// config says which broker a client command talks to and who its user is.
type config struct {
	URL, CA                       string
	Login                         string
	Certificate, CertificateKey   string
	Token, TokenFile              string
	ClientKey, ClientKeyID        string
	ClientID                      string
	Audience, OnBehalfOf, Service string
	State                         string

	commands    *Commands
	json, quiet bool
	retryFor    time.Duration
}

// Setting is one environment variable of the client commands. It has a flag too, unless that would show a secret to
// everybody who lists processes.
type Setting struct {
	Name, Flag, Meaning string

	field func(*config) *string
}

// table is all that send, inbox, receive and status read of the environment. docs/cli.md is checked against it.
var table = []Setting{
	{"FORMIDLING_URL", "url", "the broker's address; for login by certificate that of its listener for certificates", func(c *config) *string { return &c.URL }},
	{"FORMIDLING_CA", "ca", "PEM file with whom to trust for the broker's own certificate; default the system's", func(c *config) *string { return &c.CA }},
	{"FORMIDLING_LOGIN", "login", "certificate, certificate-token, key-token or token; default what the settings below are for", func(c *config) *string { return &c.Login }},
	{"FORMIDLING_CERTIFICATE", "certificate", "PEM file with your enterprise certificate, its chain and its key", func(c *config) *string { return &c.Certificate }},
	{"FORMIDLING_CERTIFICATE_KEY", "certificate-key", "PEM file with the key, when it is not in FORMIDLING_CERTIFICATE", func(c *config) *string { return &c.CertificateKey }},
	{"FORMIDLING_TOKEN", "", "a bearer token; it has no flag, because others see those", func(c *config) *string { return &c.Token }},
	{"FORMIDLING_TOKEN_FILE", "token-file", "file with a bearer token, read again for each request", func(c *config) *string { return &c.TokenFile }},
	{"FORMIDLING_CLIENT_KEY", "client-key", "file with the private key that is registered for FORMIDLING_CLIENT_ID: a JSON Web Key, or PEM", func(c *config) *string { return &c.ClientKey }},
	{"FORMIDLING_CLIENT_KEY_ID", "client-key-id", "its kid, when the file does not name it", func(c *config) *string { return &c.ClientKeyID }},
	{"FORMIDLING_CLIENT_ID", "client-id", "the client that the key is registered for", func(c *config) *string { return &c.ClientID }},
	{"FORMIDLING_AUDIENCE", "audience", "what the broker calls itself in tokens; default FORMIDLING_URL", func(c *config) *string { return &c.Audience }},
	{"FORMIDLING_ON_BEHALF_OF", "on-behalf-of", "organisation that a supplier acts for, with certificate-token or key-token", func(c *config) *string { return &c.OnBehalfOf }},
	{"FORMIDLING_SERVICE", "service", "id of the broker service", func(c *config) *string { return &c.Service }},
	{"FORMIDLING_STATE", "state", "directory of what is needed to go on after an end; default XDG_STATE_HOME/formidling or ~/.local/state/formidling", func(c *config) *string { return &c.State }},
}

// Settings are the environment variables of the client commands.
func Settings() []Setting { return table }

// flags gives a command the settings as flags, whose defaults come from the environment.
func (c *config) flags(f *pflag.FlagSet) {
	for _, s := range table {
		*s.field(c) = c.commands.environment[s.Name]
		if s.Flag != "" {
			f.Var(&envFlag{at: s.field(c)}, s.Flag, fmt.Sprintf("%s (%s)", s.Meaning, s.Name))
		}
	}
	f.BoolVar(&c.json, "json", false, "print one JSON document, or one per line for each event")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "no progress and no notices")
	f.DurationVar(&c.retryFor, "retry-for", 2*time.Minute, "how long to go on without any progress while the broker cannot be reached")
}

// envFlag is a flag for text that help does not print the default of: it is the user's, not the program's.
type envFlag struct{ at *string }

func (f *envFlag) String() string     { return "" }
func (f *envFlag) Set(v string) error { *f.at = v; return nil }
func (f *envFlag) Type() string       { return "string" }

// check refuses what cannot be meant, before anything is sent. A misspelt setting must not be ignored.
func (c *config) check() error {
	known := append([]string{}, c.commands.ServerSettings...)
	for _, s := range table {
		known = append(known, s.Name)
	}
	if err := settings.CheckNames(c.commands.Environ, known); err != nil {
		return usageError{err}
	}
	if c.URL == "" {
		return usageError{errors.New("which broker? Set FORMIDLING_URL, or --url")}
	}
	if c.retryFor <= 0 {
		c.retryFor = -1
	}
	return nil
}

// finish completes a command: its settings, its exit codes, and how it says what went wrong.
func finish(cmd *cobra.Command, c *config, args cobra.PositionalArgs, run func(u *user, args []string) error) *cobra.Command {
	c.flags(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return usageError{fmt.Errorf("%w; see formidling %s --help", err, cmd.Name())}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		err := c.check()
		if err == nil {
			err = asUser(cmd, c, func(u *user) error { return run(u, given) })
		}
		if err != nil {
			return &commandError{err: err, json: c.json, interrupted: cmd.Context().Err() != nil}
		}
		return nil
	}
	return cmd
}
