package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
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

// complete fills in the defaults that follow from other settings, and checks what must go together.
func (c *config) complete() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("FORMIDLING_LISTEN: %w", err)
	}
	c.publicURLGiven = c.PublicURL != ""
	c.PublicURL = strings.TrimSuffix(cmp.Or(c.PublicURL, "http://"+c.Listen), "/")
	if c.DatabaseURL == "" {
		c.DatabaseURL, c.defaulted = "sqlite:"+filepath.Join(c.Data, "formidling.db"), append(c.defaulted, "FORMIDLING_DATABASE_URL")
	}
	if c.Objects == "" {
		c.Objects, c.defaulted = filepath.Join(c.Data, "objects"), append(c.defaulted, "FORMIDLING_OBJECTS")
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

// development reports that nobody configured whom to trust: organisations are then made up, on this machine only.
func (c *config) development() bool { return c.Trust == "" && c.Issuers == "" }

// requireShared refuses what the embedded default allows: a replica that forgot a setting must not keep
// state on its own disk.
func (c *config) requireShared() error {
	if len(c.defaulted) > 0 {
		return fmt.Errorf("%s: must be set; only run and demo keep state in FORMIDLING_DATA by themselves", strings.Join(c.defaulted, ", "))
	}
	return nil
}

// uploadsEach is how many uploads of one organisation this process takes at once. A slow upload to Cloud Storage holds a
// buffer, so one organisation must not have them all.
func (c config) uploadsEach() int {
	if !strings.HasPrefix(c.Objects, "gs://") {
		return c.UploadsEach
	}
	return max(1, min(c.UploadsEach, objects.Buffers(c.GCSBuffers)/2))
}
