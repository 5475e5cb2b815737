package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

// names are what the tests' resolver knows.
var names = map[string][]string{
	"public.example": {"93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"}, "localhost": {"127.0.0.1", "::1"},
	"inside.example": {"10.0.0.7"}, "half.example": {"93.184.216.34", "192.168.1.1"}, "hooks.internal": {"10.0.0.8"},
	"metadata.google.internal": {"169.254.169.254"},
}

func lookup(_ context.Context, _, host string) ([]netip.Addr, error) {
	if host == "slow.example" {
		return nil, &net.DNSError{Err: "timeout", Name: host, IsTimeout: true}
	}
	var out []netip.Addr
	for _, a := range names[host] {
		out = append(out, netip.MustParseAddr(a))
	}
	if out == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return out, nil
}

func guard(t *testing.T, exceptions ...string) *Guard {
	t.Helper()
	g, err := NewGuard(exceptions)
	require.NoError(t, err)
	g.lookup = lookup
	return g
}

func TestGuard_RefusesWhatIsNotPublic(t *testing.T) {
	t.Parallel()
	const (
		network = "network that webhooks are not sent to"
		odd     = "usual form"
		https   = "must begin with https://"
	)
	for endPoint, want := range map[string]string{
		"https://public.example/hook?token=x": "", "https://93.184.216.34/": "", "https://[2606:2800:220:1::1]:8443/x": "",
		"https://PUBLIC.example.": "", "https://slow.example/": "", // it is asked again when it is dialled

		"https://127.0.0.1/": network, "https://127.8.9.1/": network, "https://[::1]/": network, "https://localhost/": network,
		"https://10.0.0.1/": network, "https://172.16.0.1/": network, "https://192.168.1.1/": network, "https://100.64.0.1/": network,
		"https://169.254.169.254/latest/meta-data": network, "https://metadata.google.internal/": network, "https://0.0.0.0/": network,
		"https://[fe80::1]/": network, "https://[fe80::1%25eth0]/": network, "https://[fd00:ec2::254]/": network, "https://[::]/": network,
		"https://224.0.0.1/": network, "https://255.255.255.255/": network, "https://[ff02::1]/": network, "https://198.18.0.1/": network,
		"https://[::ffff:127.0.0.1]/": network, "https://[::ffff:7f00:1]/": network, "https://[::127.0.0.1]/": network,
		"https://[64:ff9b::7f00:1]/": network, "https://[64:ff9b::a9fe:a9fe]/": network, "https://[64:ff9b:1::7f00:1]/": network,
		"https://[2002:7f00:1::]/": network, "https://[2001::1]/": network, "https://inside.example/": network, "https://half.example/": network,

		"https://0x7f.1/": odd, "https://0x7f000001/": odd, "https://0177.0.0.1/": odd, "https://2130706433/": odd, "https://127.1/": odd,
		"https://127.0.0.0x1/": odd, "https://public.example%00.evil/": "absolute URL", "https://１２７.0.0.1/": "absolute URL",
		"https://a..b/": odd, "https://-a.example/": odd,

		"http://public.example/": https, "ftp://public.example/": https, "file:///etc/passwd": "absolute URL", "gopher://public.example/": https,
		"http://slow.example/": https, "https://public.example@127.0.0.1/": "user name", "https://u:p@public.example/": "user name",
		"https://public.example:22/": "port", "https://public.example:80/": "port", "https://public.example:70000/": "port",
		"https://public.example:/": "port", "https://public.example:0/": "port", "https://public.example#x": "fragment",
		`https://public.example\@127.0.0.1/`: "absolute URL", "https://public.example/ x": "absolute URL", "//public.example/": "https",
		"https:public.example": "absolute URL", "": "required", "https://": "absolute URL", "https://nobody.example/": "not known",
		"https://public.example/" + strings.Repeat("a", models.MaxEndPoint): "at most",
	} {
		err := guard(t).Check(t.Context(), endPoint)
		if want == "" {
			require.NoError(t, err, endPoint)
			continue
		}
		e, ok := models.AsError(err)
		require.True(t, ok, "%s was not refused", endPoint)
		require.Equal(t, "endPoint", e.Fields[0].Field)
		require.Contains(t, e.Fields[0].Message, want, endPoint)
	}
}

func TestGuard_LetsExceptionsPassAndNothingBesides(t *testing.T) {
	t.Parallel()
	g := guard(t, "127.0.0.0/8", "::1", "hooks.internal", "10.0.0.7")
	for _, allowed := range []string{
		"http://127.0.0.1:8080/", "https://127.9.9.9/", "http://[::1]:1234/", "http://localhost:9/x", "http://hooks.internal:81/",
		"https://[::ffff:127.0.0.1]/", "http://inside.example/",
	} {
		require.NoError(t, g.Check(t.Context(), allowed), allowed)
	}
	for _, refused := range []string{"https://10.0.0.8/", "https://a.hooks.internal/", "http://public.example/", "https://10.0.0.6/", "https://0x7f.1/"} {
		require.Error(t, g.Check(t.Context(), refused), refused)
	}
	for _, bad := range []string{"", "10.0.0.0/99", "http://x", "a b", "*.internal", "0x7f.1"} {
		_, err := NewGuard([]string{bad})
		require.Error(t, err, bad)
	}
}

// TestGuard_DecidesAboutTheAddressThatIsDialled: a name that was public when it was saved is refused once it is not,
// because the guard judges the address that is dialled, not one that was resolved before.
func TestGuard_DecidesAboutTheAddressThatIsDialled(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer inside.Close()
	port := inside.Listener.Addr().(*net.TCPAddr).Port

	g := guard(t)
	g.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
	}
	require.NoError(t, g.Check(t.Context(), "https://localhost:"+itoa(port)+"/"), "it says so when it is saved")
	k, err := NewKeys(testKeys)
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		for _, scheme := range []string{"http", "https"} {
			m := models.Message{ID: uuid.New(), EndPoint: scheme + "://" + host + ":" + itoa(port) + "/"}
			a, err := NewSender(k, g, Options{}).Send(t.Context(), m)
			require.NoError(t, err)
			require.Contains(t, a.Fault, "not sent to", m.EndPoint)
		}
	}
	require.Zero(t, asked.Load())

	// https only, also for an address that is let through by its network alone
	require.ErrorIs(t, g.allow("public.example", netip.MustParseAddrPort("93.184.216.34:443"), true), errPlain)
	require.NoError(t, g.allow("public.example", netip.MustParseAddrPort("93.184.216.34:443"), false))
	require.ErrorIs(t, g.allow("public.example", netip.MustParseAddrPort("93.184.216.34:25"), false), errPort)
	require.ErrorIs(t, g.allow("public.example", netip.MustParseAddrPort("[fe80::1%eth0]:443"), false), errNetwork)
}

func TestGuard_SaysWhyItCannotTell(t *testing.T) {
	t.Parallel()
	g := guard(t)
	g.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("no resolver") }
	require.NoError(t, g.Check(t.Context(), "https://public.example/"), "the guard asks again before it dials")
}
