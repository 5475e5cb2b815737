package models

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goldenDraft uses every field, with what JSON and lengths could be wrong about.
func goldenDraft() Draft {
	return Draft{
		FileName: "report.zip", ResourceID: "urn:altinn:resource:svc", SendersReference: "ref-1", Sender: "0192:910000001",
		Recipients:   []string{"0192:910000002", "urn:altinn:organization:identifier-no:910000003"},
		PropertyList: map[string]string{"b": "2", "a": "1 & <x>"}, SHA256: "ab", DisableVirusScan: true, Proof: "p",
	}
}

// leastDraft has what every submission must have and no more.
func leastDraft() Draft {
	return Draft{FileName: "a", ResourceID: "svc", SendersReference: "r", Sender: "0192:910000001", Recipients: []string{"0192:910000002"}}
}

// These values stand in databases. When one changes, retries of what was sent before are refused: make a new version.
func TestRequestHash_IsWhatStandsInDatabases(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		draft         Draft
		hash, earlier string
	}{
		"all":   {goldenDraft(), "v2:4dc5c4f6acdacb8db993eab1a312bde379c085566ed62e0da4f6c0110f53b035", "7b4189b3787c97ec516f7decc3300b6c39aad05d8ae1c1533c1c31710e681894"},
		"least": {leastDraft(), "v2:239703486583558cdef17bf10cbed71d212eace305e62ce1007f96c6d54cab06", "0f74be486d90cb4fed7a1a438c833cf08dc3148c96625ab4ef0cc828ef5de5d2"},
	} {
		hash, earlier, err := hashesOf(c.draft)
		require.NoError(t, err)
		require.Equal(t, c.hash, hash, name)
		require.Equal(t, c.earlier, earlier, name)
	}
	all := Subscription{EndPoint: "https://example.com/hook", ResourceID: "svc", TypeFilter: []string{"no.altinn.broker.published", "no.altinn.broker.filepurged"}}
	all.SetRequestHashes()
	require.Equal(t, "v2:c58b45a844615c455b0fb0d3ec6467cad71d7f9f132c600068fb4b420606be01", all.RequestHash)
	require.Equal(t, "711b5a85acf1a306aa4917b4ea0be0ebee7af123f323ebab158edaf29e4d810d", all.EarlierHash)
	least := Subscription{EndPoint: "https://example.com/hook", TypeFilter: []string{}}
	least.SetRequestHashes()
	require.Equal(t, "v2:8e9cc9257f0aaf37b93c383e72bd31486701b984ea9d852edff2de972837b255", least.RequestHash)
	require.Equal(t, "72a6e49debb9d72d9620f28fc905de881d6320d1a3da135fb2880628f988a1a7", least.EarlierHash)
}

// notHashed are the fields of a draft that a request may change and stay the same.
var notHashed = map[string]string{"Proof": "each try may sign anew"}

func TestRequestHash_TellsApartWhateverFieldOfADraftDiffers(t *testing.T) {
	t.Parallel()
	before, earlier, err := hashesOf(leastDraft())
	require.NoError(t, err)
	kind := reflect.TypeFor[Draft]()
	for i := range kind.NumField() {
		d := leastDraft()
		field := reflect.ValueOf(&d).Elem().Field(i)
		switch field.Kind() {
		case reflect.String:
			field.SetString(field.String() + "x")
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Slice:
			field.Set(reflect.Append(field, reflect.ValueOf("x")))
		case reflect.Map:
			field.Set(reflect.ValueOf(map[string]string{"k": ""}))
		default:
			require.Fail(t, "a field of a kind that is not hashed: "+kind.Field(i).Name)
		}
		after, _, err := hashesOf(d)
		require.NoError(t, err)
		if _, free := notHashed[kind.Field(i).Name]; free {
			require.Equal(t, before, after, kind.Field(i).Name)
		} else {
			require.NotEqual(t, before, after, "hashesOf forgets "+kind.Field(i).Name)
		}
	}
	_, same, err := hashesOf(Draft{FileName: "a", ResourceID: "svc", SendersReference: "r", Sender: "0192:910000001", Recipients: []string{"0192:910000002"}, Proof: "p"})
	require.NoError(t, err)
	require.Equal(t, earlier, same)
}

func TestRequestHash_TellsApartWhereOneMemberEndsAndTheNextBegins(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, change := range map[string]func(*Draft){
		"as it is":                  func(*Draft) {},
		"the other order":           func(d *Draft) { d.Recipients = []string{"b", "a"} },
		"joined":                    func(d *Draft) { d.Recipients = []string{"ab"} },
		"twice":                     func(d *Draft) { d.Recipients = []string{"a", "b", "b"} },
		"a property":                func(d *Draft) { d.PropertyList = map[string]string{"a": "b"} },
		"a property without value":  func(d *Draft) { d.PropertyList = map[string]string{"ab": ""} },
		"a property, the other way": func(d *Draft) { d.PropertyList = map[string]string{"": "ab"} },
		"a name with a line in it":  func(d *Draft) { d.FileName = "a\nresourceId 3:svc" },
		"in another field":          func(d *Draft) { d.Checksum, d.SHA256 = "x", "" },
		"in one field":              func(d *Draft) { d.Checksum, d.SHA256 = "", "x" },
	} {
		d := leastDraft()
		d.Recipients = []string{"a", "b"}
		change(&d)
		hash, _, err := hashesOf(d)
		require.NoError(t, err)
		require.Empty(t, seen[hash], "%s is told from %s", name, seen[hash])
		seen[hash] = name
	}
}

func TestRequestHash_IsTheSameWhenWhatIsEmptyIsLeftOut(t *testing.T) {
	t.Parallel()
	without, _, err := hashesOf(leastDraft())
	require.NoError(t, err)
	d := leastDraft()
	d.PropertyList = map[string]string{}
	with, _, err := hashesOf(d)
	require.NoError(t, err)
	require.Equal(t, without, with)
	c := newCanonicalRequest("k")
	before := c.hash()
	c.text("later", "")
	c.flag("later", false)
	c.list("later", nil)
	c.table("later", nil)
	require.Equal(t, before, c.hash(), "a field that comes later and is not used")
	require.NotEqual(t, before, newCanonicalRequest("l").hash(), "another kind of request")
}

func TestSameRequest_TakesAHashThatAnEarlierVersionKept(t *testing.T) {
	t.Parallel()
	d := leastDraft()
	sub, err := NewSubmission(d, 10)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(sub.RequestHash, "v2:"))
	require.True(t, SameRequest(sub.RequestHash, sub.RequestHash, sub.EarlierHash), "kept by this version")
	require.True(t, SameRequest("0f74be486d90cb4fed7a1a438c833cf08dc3148c96625ab4ef0cc828ef5de5d2", sub.RequestHash, sub.EarlierHash), "kept by the first")
	d.FileName = "b"
	other, err := NewSubmission(d, 10)
	require.NoError(t, err)
	require.False(t, SameRequest(sub.RequestHash, other.RequestHash, other.EarlierHash))
	require.False(t, SameRequest(sub.EarlierHash, other.RequestHash, other.EarlierHash))
	require.False(t, SameRequest("", other.RequestHash, ""), "nothing kept is not the same as nothing asked")
}

func TestSubscriptionHash_TellsApartWhateverIsAskedFor(t *testing.T) {
	t.Parallel()
	least := Subscription{EndPoint: "https://example.com/hook"}
	seen := map[string]bool{}
	for _, change := range []func(*Subscription){
		func(*Subscription) {}, func(s *Subscription) { s.EndPoint += "x" }, func(s *Subscription) { s.SourceFilter = "x" },
		func(s *Subscription) { s.ResourceID = "x" }, func(s *Subscription) { s.SubjectFilter = "x" },
		func(s *Subscription) { s.TypeFilter = []string{"x"} }, func(s *Subscription) { s.TypeFilter = []string{"x", "y"} },
	} {
		s := least
		change(&s)
		s.SetRequestHashes()
		require.False(t, seen[s.RequestHash])
		require.False(t, seen[s.EarlierHash])
		seen[s.RequestHash], seen[s.EarlierHash] = true, true
	}
}

func TestSubmission_KeepsTheEarlierHashToItself(t *testing.T) {
	t.Parallel()
	sub, err := NewSubmission(leastDraft(), 10)
	require.NoError(t, err)
	raw, err := json.Marshal(sub)
	require.NoError(t, err)
	require.NotContains(t, string(raw), sub.EarlierHash, "histories hold the newest alone")
	require.Contains(t, string(raw), sub.RequestHash)
}
