package objects

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	htransport "google.golang.org/api/transport/http"

	"github.com/formidling/formidling/models"
)

// gcs keeps objects in a bucket of Google Cloud Storage.
type gcs struct {
	bucket *storage.BucketHandle
	name   string
	pool   *pool
	limits limits
}

// limits bound how long one operation may take. The client retries until its context ends, so every call gets one of
// these.
type limits struct {
	meta     time.Duration // one small operation with all its retries
	compose  time.Duration // one compose with all its retries
	transfer time.Duration // one try of sending up to 16 MiB; a larger object gets a multiple
	retry    time.Duration // all tries of sending up to 16 MiB; likewise
	stall    time.Duration // a download without a byte, before it is taken up again
	attempts int           // of any one operation
}

var defaultLimits = limits{
	meta:     8 * time.Second,
	compose:  time.Minute,
	transfer: time.Minute,
	retry:    3 * time.Minute,
	stall:    15 * time.Second,
	attempts: 5,
}

// deleters run at once in DeleteAll.
const deleters = 8

// connectGCS returns the store in bucket. The client speaks JSON over HTTP/1.1: over HTTP/2 all
// uploads would share few connections and their flow control.
func connectGCS(ctx context.Context, bucket string, opts Options) (*gcs, error) {
	auth := []option.ClientOption{option.WithScopes(storage.ScopeReadWrite)}
	endpoint := emulator(opts)
	if endpoint != "" {
		auth = []option.ClientOption{option.WithoutAuthentication()}
	}
	transport, err := htransport.NewTransport(ctx, http1(), auth...)
	if err != nil {
		return nil, fmt.Errorf("connect to gs://%s: %w", bucket, err)
	}
	client := []option.ClientOption{option.WithHTTPClient(&http.Client{Transport: transport}), storage.WithJSONReads()}
	if endpoint != "" {
		client = append(client, option.WithEndpoint(endpoint), option.WithoutAuthentication())
	}
	c, err := storage.NewClient(ctx, client...)
	if err != nil {
		return nil, fmt.Errorf("connect to gs://%s: %w", bucket, err)
	}
	c.SetRetry(
		storage.WithBackoff(gax.Backoff{Initial: 100 * time.Millisecond, Max: 2 * time.Second, Multiplier: 2}),
		storage.WithMaxAttempts(defaultLimits.attempts),
	)
	return &gcs{bucket: c.Bucket(bucket), name: bucket, pool: newPool(opts.PoolBytes), limits: defaultLimits}, nil
}

// emulator returns the address of the JSON API of the emulator to use, empty for the real service.
func emulator(opts Options) string {
	host := opts.Emulator
	if host == "" {
		host = os.Getenv("STORAGE_EMULATOR_HOST") //nolint:forbidigo // the client library reads it as well; both must agree
	}
	if host == "" {
		return ""
	}
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	return strings.TrimSuffix(host, "/") + "/storage/v1/"
}

// http1 returns a transport with as many idle connections as uploads may want at once.
func http1() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		TLSNextProto:          map[string]func(string, *tls.Conn) http.RoundTripper{}, // empty: no HTTP/2
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,     // bytes are stored as they are, and their length must be known
		ReadBufferSize:        32 << 10, // blocks are read past it
		WriteBufferSize:       256 << 10,
	}
}

// Stat implements Store.
func (g *gcs) Stat(ctx context.Context, key string) (models.StoredObject, error) {
	if err := checkKey(key); err != nil {
		return models.StoredObject{}, fmt.Errorf("stat: %w", err)
	}
	attrs, err := g.attrs(ctx, key)
	if err != nil {
		return models.StoredObject{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return models.StoredObject{Generation: attrs.Generation, Size: attrs.Size, CRC32C: &attrs.CRC32C}, nil
}

func (g *gcs) attrs(ctx context.Context, key string) (*storage.ObjectAttrs, error) {
	bounded, cancel := context.WithTimeout(ctx, g.limits.meta)
	defer cancel()
	attrs, err := g.bucket.Object(key).Attrs(bounded)
	return attrs, gcsError(ctx, err)
}

// DeleteAll implements Store.
func (g *gcs) DeleteAll(ctx context.Context, prefix string) error {
	if err := checkKey(prefix); err != nil {
		return fmt.Errorf("delete all: %w", err)
	}
	if err := g.deleteAll(ctx, prefix); err != nil {
		return fmt.Errorf("delete all of %s: %w", prefix, err)
	}
	return nil
}

// deleteAll deletes while it lists, and misses objects that are created after the listing. There are none: keys are
// never reused, and the caller makes sure that nobody writes below the prefix any more.
func (g *gcs) deleteAll(ctx context.Context, prefix string) error {
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(deleters)
	query := &storage.Query{Prefix: prefix, Projection: storage.ProjectionNoACL}
	if err := query.SetAttrSelection([]string{"Name", "Generation"}); err != nil {
		return err
	}
	listing, stop := context.WithCancel(each)
	defer stop()
	slow := time.AfterFunc(g.limits.meta, stop) // of one page; deletes in between do not count
	defer slow.Stop()
	objects := g.bucket.Objects(listing, query)
	for {
		slow.Reset(g.limits.meta)
		attrs, err := objects.Next()
		slow.Stop()
		if errors.Is(err, iterator.Done) {
			return group.Wait()
		}
		if err != nil {
			if failed := group.Wait(); failed != nil { // a failed deletion ended the listing
				return failed
			}
			return bucketError(ctx, err)
		}
		if attrs.Name != prefix && !strings.HasPrefix(attrs.Name, prefix+"/") {
			continue // another object whose name begins in the same way
		}
		group.Go(func() error { return g.delete(each, attrs.Name, attrs.Generation) })
	}
}

// delete removes one generation of key; absent is success. The precondition lets the client retry.
func (g *gcs) delete(ctx context.Context, key string, generation int64) error {
	bounded, cancel := context.WithTimeout(ctx, g.limits.meta)
	defer cancel()
	err := g.bucket.Object(key).If(storage.Conditions{GenerationMatch: generation}).Delete(bounded)
	if err = gcsError(ctx, err); err != nil && !errors.Is(err, models.ErrObjectNotFound) {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// Ready implements Store. It lists objects, a right that the store needs anyway; reading the bucket's own metadata would
// need one more.
func (g *gcs) Ready(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, g.limits.meta)
	defer cancel()
	objects := g.bucket.Objects(bounded, &storage.Query{Prefix: "ready/"})
	objects.PageInfo().MaxSize = 1
	_, err := objects.Next()
	switch {
	case err == nil, errors.Is(err, iterator.Done):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("probe gs://%s: %w: %w", g.name, models.ErrUnavailable, ctx.Err())
	default:
		// A missing bucket and a missing right are both mistakes of the installation: nothing can be
		// stored now.
		return fmt.Errorf("probe gs://%s: %w: %w", g.name, models.ErrUnavailable, err)
	}
}
