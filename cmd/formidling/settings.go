package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/formidling/formidling/internal/cli"
	"github.com/formidling/formidling/internal/settings"
	"github.com/formidling/formidling/models"
)

// table is the whole configuration: what has no row does not exist. README's table is rendered from it.
var table = settings.Table[config]{
	{
		Name: "FORMIDLING_LISTEN", Default: "127.0.0.1:8080",
		Meaning: "address and port of the API",
		Set:     settings.Text(func(c *config) *string { return &c.Listen }),
	},
	{
		Name:    "FORMIDLING_PUBLIC_URL",
		Meaning: "how clients reach the API; default http://FORMIDLING_LISTEN",
		Set:     settings.Text(func(c *config) *string { return &c.PublicURL }),
	},
	{
		Name: "FORMIDLING_DATA", Default: "var",
		Meaning: "directory of the embedded default: database, objects, Temporal, development key",
		Set:     settings.Text(func(c *config) *string { return &c.Data }),
	},
	{
		Name: "FORMIDLING_DATABASE_URL", Alias: "DATABASE_URL",
		Meaning: "postgres://… or sqlite:FILE; default sqlite:FORMIDLING_DATA/formidling.db",
		Set:     settings.Text(func(c *config) *string { return &c.DatabaseURL }),
	},
	{
		Name: "FORMIDLING_DATABASE_CONNECTIONS", Default: "20",
		Meaning: "connections to PostgreSQL, of this process",
		Set:     settings.Count(func(c *config) *int { return &c.DatabaseConnections }),
	},
	{
		Name: "FORMIDLING_OBJECTS", Alias: "OBJECTS",
		Meaning: "gs://BUCKET or a directory; default FORMIDLING_DATA/objects",
		Set:     settings.Text(func(c *config) *string { return &c.Objects }),
	},
	{
		Name: "FORMIDLING_GCS_BUFFERS", Default: "536870912",
		Meaning: "bytes of memory for uploads to Cloud Storage, all together",
		Set:     settings.Bytes(func(c *config) *int64 { return &c.GCSBuffers }),
	},
	{
		Name: "FORMIDLING_DISK_RESERVE", Default: "0",
		Meaning: "bytes that stay free on the disk of a local object directory",
		Set:     settings.Bytes(func(c *config) *int64 { return &c.DiskReserve }),
	},
	{
		Name:    "TEMPORAL_ADDRESS",
		Meaning: "host:port of Temporal; run and demo start their own when empty, others take 127.0.0.1:7233. TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS… and TEMPORAL_CONFIG_FILE hold as everywhere with Temporal",
		Set:     settings.Text(func(c *config) *string { return &c.TemporalAddress }),
	},
	{
		Name:    "FORMIDLING_TEMPORAL_UI",
		Meaning: "URL of the Temporal UI, to print links and to allow it to decrypt",
		Set:     settings.Text(func(c *config) *string { return &c.TemporalUI }),
	},
	{
		Name:    "FORMIDLING_PAYLOAD_KEYS",
		Meaning: "keys that encrypt what Temporal stores, id:base64 of 32 bytes, newest first, by comma; only run and demo work without",
		Set:     settings.Text(func(c *config) *string { return &c.PayloadKeys }),
	},
	{
		Name:    "FORMIDLING_CODEC_LISTEN",
		Meaning: "loopback address where the Temporal UI of FORMIDLING_TEMPORAL_UI may decrypt; empty: nowhere",
		Set:     settings.Text(func(c *config) *string { return &c.CodecListen }),
	},
	{
		Name:    "FORMIDLING_MTLS_LISTEN",
		Meaning: "address and port where organisations log in with their certificate; empty: nowhere, with run 127.0.0.1:8443",
		Set:     settings.Text(func(c *config) *string { return &c.MTLSListen }),
	},
	{
		Name:    "FORMIDLING_MTLS_URL",
		Meaning: "how clients reach it; default https://FORMIDLING_MTLS_LISTEN",
		Set:     settings.Text(func(c *config) *string { return &c.MTLSURL }),
	},
	{
		Name:    "FORMIDLING_MTLS_CERTIFICATE",
		Meaning: "PEM file with the server's certificate, and its key unless FORMIDLING_MTLS_KEY names another; read again when it changes",
		Set:     settings.Text(func(c *config) *string { return &c.MTLSCertificate }),
	},
	{
		Name:    "FORMIDLING_MTLS_KEY",
		Meaning: "PEM file with the server's key",
		Set:     settings.Text(func(c *config) *string { return &c.MTLSKey }),
	},
	{
		Name:    "FORMIDLING_TRUST",
		Meaning: "JSON file that names the certificate authorities to trust, their policies and revocation lists (docs/identity.md); without it and FORMIDLING_ISSUERS: a test PKI and issuer in FORMIDLING_DATA, on loopback only",
		Set:     settings.Text(func(c *config) *string { return &c.Trust }),
	},
	{
		Name: "FORMIDLING_CRL_GRACE", Default: "PT1H",
		Meaning: "how long after its nextUpdate a revocation list may still be used, ISO 8601",
		Set:     settings.Duration(func(c *config) *time.Duration { return &c.CRLGrace }),
	},
	{
		Name: "FORMIDLING_SEID1", Default: "no",
		Meaning: "yes: accept organisation numbers of the old SEID v1 profile too",
		Set:     settings.Switch(func(c *config) *bool { return &c.SEID1 }),
	},
	{
		Name:    "FORMIDLING_TOKEN_KEYS",
		Meaning: "file with the private JSON Web Key Set that signs our tokens, the same at all replicas; empty: no token endpoint",
		Set:     settings.Text(func(c *config) *string { return &c.TokenKeys }),
	},
	{
		Name:    "FORMIDLING_TOKEN_AUDIENCES",
		Meaning: "further values of aud in assertions, by comma; FORMIDLING_PUBLIC_URL always counts",
		Set:     settings.List(func(c *config) *[]string { return &c.TokenAudiences }),
	},
	{
		Name:    "FORMIDLING_RECEIPT_KEYS",
		Meaning: "file with the private JSON Web Key Set that signs receipts and the log, the same at all replicas, API and worker (docs/receipts.md); run and demo make one in FORMIDLING_DATA; empty elsewhere: receipts are written down and wait",
		Set:     settings.Text(func(c *config) *string { return &c.ReceiptKeys }),
	},
	{
		Name: "FORMIDLING_LOG_INTERVAL", Default: "PT10S",
		Meaning: "how often the log of receipts is sealed, ISO 8601",
		Set:     settings.Duration(func(c *config) *time.Duration { return &c.LogInterval }),
	},
	{
		Name:    "FORMIDLING_ISSUERS",
		Meaning: "JSON file that names external issuers whose tokens are accepted (docs/identity.md)",
		Set:     settings.Text(func(c *config) *string { return &c.Issuers }),
	},
	{
		Name:    "FORMIDLING_QUOTAS",
		Meaning: "what one organisation may keep in the registry, such as services=100,grants=100000; the names are services, grants, lists, members, connections, requests, delegations, clients, subscriptions, and refusals that are receipted, of a day",
		Set:     quotas,
	},
	{
		Name: "FORMIDLING_ENVIRONMENT", Default: "development",
		Meaning: "what GET /serviceowner calls this installation",
		Set:     settings.Text(func(c *config) *string { return &c.Environment }),
	},
	{
		Name: "FORMIDLING_UPLOAD_DEADLINE", Default: "P1D",
		Meaning: "how long a sender has to upload after initialize, ISO 8601",
		Set:     settings.Duration(func(c *config) *time.Duration { return &c.UploadDeadline }),
	},
	{
		Name: "FORMIDLING_UPLOAD_SLOTS", Default: "64",
		Meaning: "uploads at once in this process; others are asked to come back",
		Set:     settings.Count(func(c *config) *int { return &c.UploadSlots }),
	},
	{
		Name: "FORMIDLING_UPLOADS_PER_ORGANISATION", Default: "48",
		Meaning: "uploads at once of one organisation, at all replicas together, requests of tus among them; others are asked to come back. Never all slots of a process, and with Cloud Storage no more in a process than half of its buffers of 16 MiB",
		Set:     settings.Count(func(c *config) *int { return &c.UploadsEach }),
	},
	{
		Name: "FORMIDLING_DOWNLOADS_PER_ORGANISATION", Default: "1000",
		Meaning: "downloads at once of one organisation in this process; others are asked to come back",
		Set:     settings.Count(func(c *config) *int { return &c.DownloadsEach }),
	},
	{
		Name: "FORMIDLING_MAX_RECIPIENTS", Default: "10000",
		Meaning: "recipients of one transfer, at most 20000",
		Set:     settings.Count(func(c *config) *int { return &c.MaxRecipients }),
	},
	{
		Name: "FORMIDLING_EVENT_LISTENERS", Default: "10000",
		Meaning: "clients that wait for events at once in this process, a quarter of them of one organisation",
		Set:     settings.Count(func(c *config) *int { return &c.EventListeners }),
	},
	{
		Name: "FORMIDLING_MAX_PURGES", Default: "4",
		Meaning: "files deleted at once by this worker",
		Set:     settings.Count(func(c *config) *int { return &c.MaxPurges }),
	},
	{
		Name: "FORMIDLING_MAX_WEBHOOKS", Default: "256",
		Meaning: "subscriptions that this worker serves at once; at most 4 requests at once go to one host, and 8 are of one organisation",
		Set:     settings.Count(func(c *config) *int { return &c.MaxWebhooks }),
	},
	{
		Name:    "FORMIDLING_WEBHOOK_EXCEPTIONS",
		Meaning: "hosts, addresses and networks such as 10.1.0.0/16 that webhooks may be sent to although they are not public, also by http, by comma; run and demo add loopback",
		Set:     settings.List(func(c *config) *[]string { return &c.WebhookExceptions }),
	},
	{
		Name:    "FORMIDLING_WORKER_VERSION",
		Meaning: "build id for Temporal's worker versioning; empty: off. Nothing runs on a new version until it is made current",
		Set:     settings.Text(func(c *config) *string { return &c.WorkerVersion }),
	},
	{
		Name: "FORMIDLING_SHUTDOWN_GRACE", Default: "PT30S",
		Meaning: "how long requests and activities may finish after SIGTERM, ISO 8601",
		Set:     settings.Duration(func(c *config) *time.Duration { return &c.ShutdownGrace }),
	},
	{
		Name: "FORMIDLING_LOG_LEVEL", Default: "info",
		Meaning: "lowest level logged: debug, info, warn, error",
		Set:     logLevel,
	},
	{
		Name: "FORMIDLING_LOG_FORMAT", Default: "text",
		Meaning: "text or json",
		Set:     logFormat,
	},
}

// readConfig reads settings from an environment of NAME=value. A name with our prefix that is no setting, neither of a
// server nor of a client, is an error: a misspelt one must not be ignored.
func readConfig(environ []string) (config, error) {
	known := table.Names()
	for _, s := range cli.Settings() {
		known = append(known, s.Name)
	}
	c := config{Quotas: models.DefaultQuotas()}
	err := errors.Join(settings.CheckNames(environ, known), table.Read(&c, environ))
	if err == nil {
		err = c.complete()
	}
	return c, err
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

func logLevel(c *config, v string) error { return c.LogLevel.UnmarshalText([]byte(v)) }

// meaning is what a setting means, and its other name.
func meaning(s settings.Setting[config]) string {
	if s.Alias == "" {
		return s.Meaning
	}
	return s.Meaning + "; its older name " + s.Alias + " counts too"
}
