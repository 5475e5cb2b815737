package gcsemu

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// attributes are what a client may set on an object.
type attributes struct {
	ContentType        string            `json:"contentType,omitempty"`
	ContentEncoding    string            `json:"contentEncoding,omitempty"`
	ContentDisposition string            `json:"contentDisposition,omitempty"`
	ContentLanguage    string            `json:"contentLanguage,omitempty"`
	CacheControl       string            `json:"cacheControl,omitempty"`
	StorageClass       string            `json:"storageClass,omitempty"`
	CustomTime         string            `json:"customTime,omitempty"`
	KMSKeyName         string            `json:"kmsKeyName,omitempty"`
	TemporaryHold      bool              `json:"temporaryHold,omitempty"`
	EventBasedHold     bool              `json:"eventBasedHold,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
}

func (a attributes) isZero() bool { return reflect.ValueOf(a).IsZero() }

// merge returns a with the members of patch put over it; null clears a member, as in RFC 7396.
func (a attributes) merge(patch map[string]any) (attributes, error) {
	raw, err := json.Marshal(a)
	if err != nil {
		return a, fmt.Errorf("encode attributes: %w", err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(raw, &members); err != nil {
		return a, fmt.Errorf("decode attributes: %w", err)
	}
	if raw, err = json.Marshal(mergePatch(members, patch)); err != nil {
		return a, fmt.Errorf("encode attributes: %w", err)
	}
	var merged attributes
	if err := json.Unmarshal(raw, &merged); err != nil {
		return a, invalid("update attributes: %v", err)
	}
	return merged, nil
}

func mergePatch(into, patch map[string]any) map[string]any {
	if into == nil {
		into = map[string]any{}
	}
	for name, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(into, name)
		case map[string]any:
			under, _ := into[name].(map[string]any) // nil when there is nothing to merge with
			into[name] = mergePatch(under, v)
		default:
			into[name] = v
		}
	}
	return into
}

// object is a live object: what the API shows and what its record on the disk holds. It is never changed after it
// was published; an update publishes a changed copy.
type object struct {
	attributes
	Kind           string    `json:"kind"`
	Bucket         string    `json:"bucket"`
	Name           string    `json:"name"`
	Size           int64     `json:"size,string"`
	Generation     int64     `json:"generation,string"`
	Metageneration int64     `json:"metageneration,string"`
	CRC32C         string    `json:"crc32c"`
	MD5            string    `json:"md5Hash,omitempty"`
	ComponentCount int       `json:"componentCount,omitempty"`
	Etag           string    `json:"etag"`
	TimeCreated    time.Time `json:"timeCreated"`
	Updated        time.Time `json:"updated"`
}

// held says why the object may not be deleted or replaced.
func (o *object) held() error {
	if o != nil && (o.TemporaryHold || o.EventBasedHold) {
		return &apiError{http.StatusForbidden, "objectUnderActiveHold", "object " + o.Name + " is under active hold"}
	}
	return nil
}

func (o *object) etag() string { return fmt.Sprintf("%d/%d", o.Generation, o.Metageneration) }

// checkName refuses the object names that Cloud Storage refuses.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > 1024 || !utf8.ValidString(name):
		return invalid("object names are 1 to 1024 bytes of UTF-8")
	case name == "." || name == "..", strings.ContainsAny(name, "\r\n\x00"):
		return invalid("object name %q is not allowed", name)
	}
	return nil
}
