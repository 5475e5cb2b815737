package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
)

// options is the command line after validation.
type options struct {
	ip          string
	allowRemote bool
	port        int // 0: any free port
	uiPort      int // 0: no UI; -1: any free port

	dbFile string    // SQLite; empty: in memory
	pg     *postgres // nil: SQLite

	namespace     string
	retention     time.Duration
	attributes    attributes
	dynamic       dynamicValues
	codecEndpoint string

	logLevel  slog.Level
	readyFile string
	parent    int // 0: none
}

// minRetention is the shortest that a Temporal server accepts for a namespace.
const minRetention = time.Hour

// parseOptions reads the command line. Help and usage go to usage.
func parseOptions(args []string, usage io.Writer) (options, error) {
	opts := options{attributes: defaultAttributes(), dynamic: tunedDynamicConfig()}
	var pg postgresFlags
	fs := flag.NewFlagSet("devstack", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.StringVar(&opts.ip, "ip", "127.0.0.1", "`address` the server and the UI listen on")
	fs.BoolVar(&opts.allowRemote, "allow-remote", false, "accept an --ip that other machines can reach; there is no login, so only inside a private network")
	fs.IntVar(&opts.port, "port", 7233, "gRPC `port` of the server; 0 takes a free one")
	fs.IntVar(&opts.uiPort, "ui-port", 8233, "`port` of the web UI; 0 for no UI, -1 takes a free one")
	fs.StringVar(&opts.dbFile, "db", "", "SQLite `file`, made when missing; empty keeps everything in memory")
	pg.define(fs)
	fs.StringVar(&opts.namespace, "namespace", "default", "`name` of the namespace, made when missing")
	fs.DurationVar(&opts.retention, "retention", 720*time.Hour, "how long closed workflows are kept")
	fs.Var(opts.attributes, "search-attribute", "one more search attribute to register, `Name=Type`; may be repeated")
	fs.Var(opts.dynamic, "dynamic-config-value", "dynamic configuration to add or override, `key=value`; may be repeated")
	fs.StringVar(&opts.codecEndpoint, "codec-endpoint", "", "`URL` of a codec server with which the UI reads encrypted payloads")
	fs.TextVar(&opts.logLevel, "log-level", slog.LevelWarn, "lowest `level` logged: debug, info, warn or error")
	fs.StringVar(&opts.readyFile, "ready-file", "", "`file` written when all is ready, with the JSON that standard output gets")
	fs.IntVar(&opts.parent, "parent", 0, "end when the process with this `pid` is gone")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	if fs.NArg() > 0 {
		return options{}, fmt.Errorf("read command line: unexpected argument %q", fs.Arg(0))
	}
	var err error
	if opts.pg, err = pg.parse(); err != nil {
		return options{}, err
	}
	return opts, opts.validate()
}

// validate refuses what cannot work, or would be unsafe, before anything is started.
func (o options) validate() error {
	ip := net.ParseIP(o.ip)
	switch {
	case ip == nil:
		return fmt.Errorf("check --ip: %q is not an IP address", o.ip)
	case !ip.IsLoopback() && !o.allowRemote:
		return fmt.Errorf("check --ip: %s can be reached from other machines and neither server nor UI has a login; give --allow-remote inside a private network", o.ip)
	case o.port < 0 || o.port > 65535:
		return fmt.Errorf("check --port: %d is not a port", o.port)
	case o.uiPort < -1 || o.uiPort > 65535:
		return fmt.Errorf("check --ui-port: %d is not a port, 0 or -1", o.uiPort)
	case o.port != 0 && o.port == o.uiPort:
		return fmt.Errorf("check --ui-port: %d is also --port", o.uiPort)
	case o.pg != nil && o.dbFile != "":
		return errors.New("check --db: give either --db or --pg")
	case strings.ContainsAny(o.dbFile, "?#%"):
		return fmt.Errorf("check --db: %q holds one of ?, # and %%, which mean something else to SQLite", o.dbFile)
	case o.namespace == "":
		return errors.New("check --namespace: it must have a name")
	case o.retention < minRetention:
		return fmt.Errorf("check --retention: %v is shorter than %v", o.retention, minRetention)
	case o.parent < 0:
		return fmt.Errorf("check --parent: %d is not a process", o.parent)
	}
	return checkCodecEndpoint(o.codecEndpoint)
}

// checkCodecEndpoint demands an absolute URL, because the browser resolves it.
func checkCodecEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return fmt.Errorf("check --codec-endpoint: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("check --codec-endpoint: %q is not an http or https URL", endpoint)
	}
	return nil
}

// attributes maps the names of search attributes to their types. As a flag it collects
// repeated Name=Type values.
type attributes map[string]enumspb.IndexedValueType

// defaultAttributes are those that the broker's workflows set.
func defaultAttributes() attributes {
	return attributes{
		"FormidlingSender":     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		"FormidlingResource":   enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		"FormidlingStatus":     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		"FormidlingRecipients": enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST,
	}
}

// String is empty so that help shows no default; it implements flag.Value.
func (a attributes) String() string { return "" }

// Set adds one Name=Type; it implements flag.Value.
func (a attributes) Set(value string) error {
	name, typeName, ok := strings.Cut(value, "=")
	if !ok || name == "" {
		return errors.New("want Name=Type")
	}
	t, err := enumspb.IndexedValueTypeFromString(typeName)
	if err != nil || t == enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
		return fmt.Errorf("%q is not a type: want Keyword, KeywordList, Text, Int, Double, Bool or Datetime", typeName)
	}
	a[name] = t
	return nil
}
