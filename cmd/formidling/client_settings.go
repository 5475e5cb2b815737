package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// clientConfig says which broker a client command talks to and who its user is.
type clientConfig struct {
	URL, CA                       string
	Login                         string
	Certificate, CertificateKey   string
	Token, TokenFile              string
	ClientKey, ClientKeyID        string
	ClientID                      string
	Audience, OnBehalfOf, Service string
	State                         string

	json, quiet bool
	retryFor    time.Duration
}

// clientSetting is one environment variable of the client commands. It has a flag too, unless that would show a secret to
// everybody who lists processes.
type clientSetting struct {
	name, flag, fallback, meaning string
	field                         func(*clientConfig) *string
}

// clientSettings is all that send, inbox, receive and status read of the environment. docs/cli.md is checked against it.
var clientSettings = []clientSetting{
	{"FORMIDLING_URL", "url", "", "the broker's address; for login by certificate that of its listener for certificates", func(c *clientConfig) *string { return &c.URL }},
	{"FORMIDLING_CA", "ca", "", "PEM file with whom to trust for the broker's own certificate; default the system's", func(c *clientConfig) *string { return &c.CA }},
	{"FORMIDLING_LOGIN", "login", "", "certificate, certificate-token, key-token or token; default what the settings below are for", func(c *clientConfig) *string { return &c.Login }},
	{"FORMIDLING_CERTIFICATE", "certificate", "", "PEM file with your enterprise certificate, its chain and its key", func(c *clientConfig) *string { return &c.Certificate }},
	{"FORMIDLING_CERTIFICATE_KEY", "certificate-key", "", "PEM file with the key, when it is not in FORMIDLING_CERTIFICATE", func(c *clientConfig) *string { return &c.CertificateKey }},
	{"FORMIDLING_TOKEN", "", "", "a bearer token; it has no flag, because others see those", func(c *clientConfig) *string { return &c.Token }},
	{"FORMIDLING_TOKEN_FILE", "token-file", "", "file with a bearer token, read again for each request", func(c *clientConfig) *string { return &c.TokenFile }},
	{"FORMIDLING_CLIENT_KEY", "client-key", "", "file with the private key that is registered for FORMIDLING_CLIENT_ID: a JSON Web Key, or PEM", func(c *clientConfig) *string { return &c.ClientKey }},
	{"FORMIDLING_CLIENT_KEY_ID", "client-key-id", "", "its kid, when the file does not name it", func(c *clientConfig) *string { return &c.ClientKeyID }},
	{"FORMIDLING_CLIENT_ID", "client-id", "", "the client that the key is registered for", func(c *clientConfig) *string { return &c.ClientID }},
	{"FORMIDLING_AUDIENCE", "audience", "", "what the broker calls itself in tokens; default FORMIDLING_URL", func(c *clientConfig) *string { return &c.Audience }},
	{"FORMIDLING_ON_BEHALF_OF", "on-behalf-of", "", "organisation that a supplier acts for, with certificate-token or key-token", func(c *clientConfig) *string { return &c.OnBehalfOf }},
	{"FORMIDLING_SERVICE", "service", "", "id of the broker service", func(c *clientConfig) *string { return &c.Service }},
	{"FORMIDLING_STATE", "state", "", "directory of what is needed to go on after an end; default XDG_STATE_HOME/formidling or ~/.local/state/formidling", func(c *clientConfig) *string { return &c.State }},
}

// flags gives a command the settings as flags, whose defaults come from the environment.
func (c *clientConfig) flags(f *pflag.FlagSet) {
	for _, s := range clientSettings {
		*s.field(c) = s.fallback
		if given := os.Getenv(s.name); given != "" {
			*s.field(c) = given
		}
		if s.flag != "" {
			value := &envFlag{at: s.field(c)}
			f.Var(value, s.flag, fmt.Sprintf("%s (%s)", s.meaning, s.name))
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
func (c *clientConfig) check(environ []string) error {
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix) && !isSetting(name) {
			return usageError{fmt.Errorf("%s is not a setting; did you mean %s? `formidling config` lists all", name, nearest(name))}
		}
	}
	if c.URL == "" {
		return usageError{fmt.Errorf("which broker? Set FORMIDLING_URL, or --url")}
	}
	if c.retryFor <= 0 {
		c.retryFor = -1
	}
	return nil
}

// clientCommand finishes a command of the client: its settings, its exit codes, and how it says what went wrong.
func clientCommand(cmd *cobra.Command, c *clientConfig, args cobra.PositionalArgs, run func(u *user, args []string) error) *cobra.Command {
	c.flags(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return usageError{fmt.Errorf("%w; see formidling %s --help", err, cmd.Name())}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		err := c.check(os.Environ())
		if err == nil {
			err = asUser(cmd, c, func(u *user) error { return run(u, given) })
		}
		if err != nil {
			return &clientError{err: err, json: c.json, interrupted: cmd.Context().Err() != nil}
		}
		return nil
	}
	return cmd
}
