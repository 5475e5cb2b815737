package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/objects"
)

// config is every setting of one process, after validation.
type config struct {
	Listen, PublicURL, Data       string
	DatabaseURL, Objects          string
	DatabaseConnections           int
	GCSBuffers, DiskReserve       int64 // bytes
	TemporalAddress, TemporalUI   string
	PayloadKeys, CodecListen      string
	MTLSListen, MTLSURL           string
	MTLSCertificate, MTLSKey      string
	Trust                         string
	CRLGrace                      time.Duration
	SEID1                         bool
	TokenKeys, Issuers            string
	TokenAudiences                []string
	Quotas                        models.Quotas
	Environment                   string
	UploadDeadline, ShutdownGrace time.Duration
	UploadSlots, MaxRecipients    int
	MaxPurges, EventListeners     int
	MaxWebhooks                   int
	WebhookExceptions             []string
	UploadsEach, DownloadsEach    int // of one organisation
	WorkerVersion                 string
	ReceiptKeys                   string
	LogInterval                   time.Duration
	LogLevel                      slog.Level
	LogJSON                       bool

	defaulted      []string // settings that fell back to FORMIDLING_DATA
	publicURLGiven bool
}

// setting is one environment variable.
type setting struct {
	name, fallback, meaning string
	set                     func(*config, string) error
}

const prefix = "FORMIDLING_"

// settings is the whole configuration: what is not here does not exist. README's table is checked against it.
var settings = []setting{
	{"FORMIDLING_LISTEN", "127.0.0.1:8080", "address and port of the API", text(func(c *config) *string { return &c.Listen })},
	{"FORMIDLING_PUBLIC_URL", "", "how clients reach the API; default http://FORMIDLING_LISTEN", text(func(c *config) *string { return &c.PublicURL })},
	{"FORMIDLING_DATA", "var", "directory of the embedded default: database, objects, Temporal, development key", text(func(c *config) *string { return &c.Data })},
	{"DATABASE_URL", "", "postgres://… or sqlite:FILE; default sqlite:FORMIDLING_DATA/formidling.db", text(func(c *config) *string { return &c.DatabaseURL })},
	{"FORMIDLING_DATABASE_CONNECTIONS", "20", "connections to PostgreSQL, of this process", number(func(c *config) *int { return &c.DatabaseConnections })},
	{"OBJECTS", "", "gs://BUCKET or a directory; default FORMIDLING_DATA/objects", text(func(c *config) *string { return &c.Objects })},
	{"FORMIDLING_GCS_BUFFERS", "536870912", "bytes of memory for uploads to Cloud Storage, all together", size(func(c *config) *int64 { return &c.GCSBuffers })},
	{"FORMIDLING_DISK_RESERVE", "0", "bytes that stay free on the disk of a local object directory", size(func(c *config) *int64 { return &c.DiskReserve })},
	{"TEMPORAL_ADDRESS", "", "host:port of Temporal; run and demo start their own when empty, others take 127.0.0.1:7233. TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS… and TEMPORAL_CONFIG_FILE hold as everywhere with Temporal", text(func(c *config) *string { return &c.TemporalAddress })},
	{"FORMIDLING_TEMPORAL_UI", "", "URL of the Temporal UI, to print links and to allow it to decrypt", text(func(c *config) *string { return &c.TemporalUI })},
	{"FORMIDLING_PAYLOAD_KEYS", "", "keys that encrypt what Temporal stores, id:base64 of 32 bytes, newest first, by comma; only run and demo work without", text(func(c *config) *string { return &c.PayloadKeys })},
	{"FORMIDLING_CODEC_LISTEN", "", "loopback address where the Temporal UI of FORMIDLING_TEMPORAL_UI may decrypt; empty: nowhere", text(func(c *config) *string { return &c.CodecListen })},
	{"FORMIDLING_MTLS_LISTEN", "", "address and port where organisations log in with their certificate; empty: nowhere, with run 127.0.0.1:8443", text(func(c *config) *string { return &c.MTLSListen })},
	{"FORMIDLING_MTLS_URL", "", "how clients reach it; default https://FORMIDLING_MTLS_LISTEN", text(func(c *config) *string { return &c.MTLSURL })},
	{"FORMIDLING_MTLS_CERTIFICATE", "", "PEM file with the server's certificate, and its key unless FORMIDLING_MTLS_KEY names another; read again when it changes", text(func(c *config) *string { return &c.MTLSCertificate })},
	{"FORMIDLING_MTLS_KEY", "", "PEM file with the server's key", text(func(c *config) *string { return &c.MTLSKey })},
	{"FORMIDLING_TRUST", "", "JSON file that names the certificate authorities to trust, their policies and revocation lists (docs/identity.md); without it and FORMIDLING_ISSUERS: a test PKI and issuer in FORMIDLING_DATA, on loopback only", text(func(c *config) *string { return &c.Trust })},
	{"FORMIDLING_CRL_GRACE", "PT1H", "how long after its nextUpdate a revocation list may still be used, ISO 8601", duration(func(c *config) *time.Duration { return &c.CRLGrace })},
	{"FORMIDLING_SEID1", "no", "yes: accept organisation numbers of the old SEID v1 profile too", yes(func(c *config) *bool { return &c.SEID1 })},
	{"FORMIDLING_TOKEN_KEYS", "", "file with the private JSON Web Key Set that signs our tokens, the same at all replicas; empty: no token endpoint", text(func(c *config) *string { return &c.TokenKeys })},
	{"FORMIDLING_TOKEN_AUDIENCES", "", "further values of aud in assertions, by comma; FORMIDLING_PUBLIC_URL always counts", list(func(c *config) *[]string { return &c.TokenAudiences })},
	{"FORMIDLING_RECEIPT_KEYS", "", "file with the private JSON Web Key Set that signs receipts and the log, the same at all replicas, API and worker (docs/receipts.md); run and demo make one in FORMIDLING_DATA; empty elsewhere: receipts are written down and wait", text(func(c *config) *string { return &c.ReceiptKeys })},
	{"FORMIDLING_LOG_INTERVAL", "PT10S", "how often the log of receipts is sealed, ISO 8601", duration(func(c *config) *time.Duration { return &c.LogInterval })},
	{"FORMIDLING_ISSUERS", "", "JSON file that names external issuers whose tokens are accepted (docs/identity.md)", text(func(c *config) *string { return &c.Issuers })},
	{"FORMIDLING_QUOTAS", "", "what one organisation may keep in the registry, such as services=100,grants=100000; the names are services, grants, lists, members, connections, requests, delegations, clients, subscriptions, and refusals that are receipted, of a day", quotas},
	{"FORMIDLING_ENVIRONMENT", "development", "what GET /serviceowner calls this installation", text(func(c *config) *string { return &c.Environment })},
	{"FORMIDLING_UPLOAD_DEADLINE", "P1D", "how long a sender has to upload after initialize, ISO 8601", duration(func(c *config) *time.Duration { return &c.UploadDeadline })},
	{"FORMIDLING_UPLOAD_SLOTS", "64", "uploads at once in this process; more are told to come back", number(func(c *config) *int { return &c.UploadSlots })},
	{"FORMIDLING_UPLOADS_PER_ORGANISATION", "48", "uploads at once of one organisation, at all replicas together, requests of tus among them; more are told to come back. Never all slots of a process, and with Cloud Storage no more in a process than half of its buffers of 16 MiB", number(func(c *config) *int { return &c.UploadsEach })},
	{"FORMIDLING_DOWNLOADS_PER_ORGANISATION", "1000", "downloads at once of one organisation in this process; more are told to come back", number(func(c *config) *int { return &c.DownloadsEach })},
	{"FORMIDLING_MAX_RECIPIENTS", "10000", "recipients of one transfer, at most 20000", number(func(c *config) *int { return &c.MaxRecipients })},
	{"FORMIDLING_EVENT_LISTENERS", "10000", "clients that wait for events at once in this process, a quarter of them of one organisation", number(func(c *config) *int { return &c.EventListeners })},
	{"FORMIDLING_MAX_PURGES", "4", "files deleted at once by this worker", number(func(c *config) *int { return &c.MaxPurges })},
	{"FORMIDLING_MAX_WEBHOOKS", "256", "subscriptions that this worker serves at once; at most 4 requests at once go to one host, and 8 are of one organisation", number(func(c *config) *int { return &c.MaxWebhooks })},
	{"FORMIDLING_WEBHOOK_EXCEPTIONS", "", "hosts, addresses and networks such as 10.1.0.0/16 that webhooks may be sent to although they are not public, also by http, by comma; run and demo add loopback", list(func(c *config) *[]string { return &c.WebhookExceptions })},
	{"FORMIDLING_WORKER_VERSION", "", "build id for Temporal's worker versioning; empty: off. Nothing runs on a new version until it is made current", text(func(c *config) *string { return &c.WorkerVersion })},
	{"FORMIDLING_SHUTDOWN_GRACE", "PT30S", "how long requests and activities may finish after SIGTERM, ISO 8601", duration(func(c *config) *time.Duration { return &c.ShutdownGrace })},
	{"FORMIDLING_LOG_LEVEL", "info", "lowest level logged: debug, info, warn, error", func(c *config, v string) error { return c.LogLevel.UnmarshalText([]byte(v)) }},
	{"FORMIDLING_LOG_FORMAT", "text", "text or json", logFormat},
}

// readConfig reads settings from an environment of NAME=value. A name with our prefix that is no setting
// is an error: a misspelt one must not be ignored.
func readConfig(environ []string) (config, error) {
	given := map[string]string{}
	var errs []error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		given[name] = value
		if strings.HasPrefix(name, prefix) && !isSetting(name) {
			errs = append(errs, fmt.Errorf("%s is not a setting; did you mean %s? `formidling config` lists all", name, nearest(name)))
		}
	}
	c := config{Quotas: models.DefaultQuotas()}
	for _, s := range settings {
		value := given[s.name]
		if value == "" {
			value = s.fallback
		}
		if value == "" {
			continue
		}
		if err := s.set(&c, value); err != nil {
			errs = append(errs, fmt.Errorf("%s=%q: %w", s.name, value, err))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, c.complete())
	}
	return c, errors.Join(errs...)
}

// complete fills in the defaults that follow from other settings, and checks what must go together.
func (c *config) complete() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("FORMIDLING_LISTEN: %w", err)
	}
	c.publicURLGiven = c.PublicURL != ""
	c.PublicURL = strings.TrimSuffix(cmp.Or(c.PublicURL, "http://"+c.Listen), "/")
	if c.DatabaseURL == "" {
		c.DatabaseURL, c.defaulted = "sqlite:"+filepath.Join(c.Data, "formidling.db"), append(c.defaulted, "DATABASE_URL")
	}
	if c.Objects == "" {
		c.Objects, c.defaulted = filepath.Join(c.Data, "objects"), append(c.defaulted, "OBJECTS")
	}
	if c.MaxRecipients > 20_000 {
		return errors.New("FORMIDLING_MAX_RECIPIENTS: at most 20000")
	}
	return c.completeIdentity()
}

// completeIdentity checks what must go together for organisations to log in.
func (c *config) completeIdentity() error {
	if c.MTLSListen != "" {
		if _, _, err := net.SplitHostPort(c.MTLSListen); err != nil {
			return fmt.Errorf("FORMIDLING_MTLS_LISTEN: %w", err)
		}
		c.MTLSURL = strings.TrimSuffix(cmp.Or(c.MTLSURL, "https://"+c.MTLSListen), "/")
	}
	c.MTLSKey = cmp.Or(c.MTLSKey, c.MTLSCertificate)
	switch {
	case c.development():
		if c.MTLSCertificate != "" || c.TokenKeys != "" {
			return errors.New("FORMIDLING_MTLS_CERTIFICATE and FORMIDLING_TOKEN_KEYS: need FORMIDLING_TRUST; without it a development PKI in FORMIDLING_DATA is used")
		}
	case c.MTLSListen != "" && (c.Trust == "" || c.MTLSCertificate == ""):
		return errors.New("FORMIDLING_MTLS_LISTEN: needs FORMIDLING_TRUST and FORMIDLING_MTLS_CERTIFICATE")
	case c.TokenKeys != "" && !c.publicURLGiven && identity.RequireLoopback(c.Listen, c.PublicURL) != nil:
		return errors.New("FORMIDLING_PUBLIC_URL: must be set, because tokens carry it")
	case c.Trust != "" && c.MTLSListen == "" && c.TokenKeys == "":
		return errors.New("FORMIDLING_TRUST: nothing uses it without FORMIDLING_MTLS_LISTEN or FORMIDLING_TOKEN_KEYS")
	}
	return nil
}

// development tells that nobody said whom to trust: then organisations are made up, on this machine only.
func (c *config) development() bool { return c.Trust == "" && c.Issuers == "" }

// requireShared refuses what the embedded default allows: a replica that forgot a setting must not keep
// state on its own disk.
func (c *config) requireShared() error {
	if len(c.defaulted) > 0 {
		return fmt.Errorf("%s: must be set; only run and demo keep state in FORMIDLING_DATA by themselves", strings.Join(c.defaulted, ", "))
	}
	return nil
}

func text(field func(*config) *string) func(*config, string) error {
	return func(c *config, v string) error { *field(c) = v; return nil }
}

func number(field func(*config) *int) func(*config, string) error {
	return func(c *config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return errors.New("it must be a whole number, at least 1")
		}
		*field(c) = n
		return nil
	}
}

func size(field func(*config) *int64) func(*config, string) error {
	return func(c *config, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return errors.New("it must be a number of bytes")
		}
		*field(c) = n
		return nil
	}
}

func duration(field func(*config) *time.Duration) func(*config, string) error {
	return func(c *config, v string) error {
		d, err := models.ParseDuration(v)
		if err != nil || d <= 0 {
			return errors.New("it must be an ISO 8601 duration above zero, such as PT30S or P1D")
		}
		*field(c) = d
		return nil
	}
}

func list(field func(*config) *[]string) func(*config, string) error {
	return func(c *config, v string) error {
		for one := range strings.SplitSeq(v, ",") {
			if one = strings.TrimSpace(one); one == "" {
				return errors.New("it must be values separated by commas")
			}
			*field(c) = append(*field(c), one)
		}
		return nil
	}
}

func yes(field func(*config) *bool) func(*config, string) error {
	return func(c *config, v string) error {
		if v != "yes" && v != "no" {
			return errors.New("it must be yes or no")
		}
		*field(c) = v == "yes"
		return nil
	}
}

// quotas reads name=number pairs; what is not named keeps its default.
func quotas(c *config, v string) error {
	c.Quotas = models.DefaultQuotas()
	fields := map[string]*int64{
		"services": &c.Quotas.Services, "grants": &c.Quotas.Grants, "lists": &c.Quotas.Lists, "members": &c.Quotas.Members,
		"connections": &c.Quotas.Connections, "requests": &c.Quotas.Requests, "delegations": &c.Quotas.Delegations, "clients": &c.Quotas.Clients,
		"subscriptions": &c.Quotas.Subscriptions, "refusals": &c.Quotas.Refusals,
	}
	for pair := range strings.SplitSeq(v, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(pair), "=")
		n, err := strconv.ParseInt(number, 10, 64)
		if fields[name] == nil || err != nil || n < 0 {
			return fmt.Errorf("%q: it must be name=number with a name of %v", pair, slices.Sorted(maps.Keys(fields)))
		}
		*fields[name] = n
	}
	return nil
}

func logFormat(c *config, v string) error {
	if v != "text" && v != "json" {
		return errors.New("it must be text or json")
	}
	c.LogJSON = v == "json"
	return nil
}

// isSetting tells whether a variable means something to a server or to a client command.
func isSetting(name string) bool { return slices.Contains(settingNames(), name) }

func settingNames() []string {
	var names []string
	for _, s := range settings {
		names = append(names, s.name)
	}
	for _, s := range clientSettings {
		names = append(names, s.name)
	}
	return names
}

// nearest is the setting with the fewest edits from a misspelt name.
func nearest(name string) string {
	return slices.MinFunc(settingNames(), func(a, b string) int { return cmp.Compare(edits(name, a), edits(name, b)) })
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// uploadsEach is how many uploads of one organisation this process takes at once. A slow upload to Cloud Storage holds a
// buffer, so one organisation must not have them all.
func (c config) uploadsEach() int {
	if !strings.HasPrefix(c.Objects, "gs://") {
		return c.UploadsEach
	}
	return max(1, min(c.UploadsEach, objects.Buffers(c.GCSBuffers)/2))
}
