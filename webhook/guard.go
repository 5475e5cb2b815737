package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/formidling/formidling/models"
)

// resolveWait bounds the look at a name when an endpoint is saved.
const resolveWait = 3 * time.Second

// Guard keeps webhooks away from every network that is not public: when an endpoint is saved, so that its owner
// learns of it, and again when a connection is opened, because a name may mean another address by then.
type Guard struct {
	public   *ssrf.Guardian
	networks []netip.Prefix  // exceptions
	hosts    map[string]bool // exceptions
	lookup   func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// NewGuard reads the exceptions of an installation: hosts, addresses and networks such as 10.1.0.0/16 that webhooks
// may be sent to although they are not public, also without TLS and at any port.
func NewGuard(exceptions []string) (*Guard, error) {
	g := &Guard{
		public: ssrf.New(), hosts: map[string]bool{}, lookup: net.DefaultResolver.LookupNetIP,
	}
	for _, e := range exceptions {
		if p, err := netip.ParsePrefix(e); err == nil {
			g.networks = append(g.networks, p.Masked())
		} else if a, err := netip.ParseAddr(e); err == nil {
			g.networks = append(g.networks, netip.PrefixFrom(a, a.BitLen()))
		} else if e = strings.ToLower(strings.TrimSuffix(e, ".")); isName(e) {
			g.hosts[e] = true
		} else {
			return nil, fmt.Errorf("%q is no host, no address and no network such as 10.1.0.0/16", e)
		}
	}
	return g, nil
}

// Check reports whether an endpoint may be saved; its error is written for its owner.
func (g *Guard) Check(ctx context.Context, endPoint string) error {
	fault := g.fault(ctx, endPoint)
	if fault == "" {
		return nil
	}
	return models.InvalidField("endPoint", fault)
}

func (g *Guard) fault(ctx context.Context, endPoint string) string {
	u, err := url.Parse(endPoint)
	switch {
	case endPoint == "":
		return "The endPoint field is required."
	case len(endPoint) > models.MaxEndPoint:
		return fmt.Sprintf("The endpoint must have at most %d characters.", models.MaxEndPoint)
	case err != nil || !printable(endPoint) || u.Opaque != "" || u.Host == "":
		return "The endpoint must be an absolute URL in ASCII, such as https://example.com/events."
	case u.Scheme != "https" && u.Scheme != "http":
		return "The endpoint must begin with https://."
	case u.User != nil:
		return "The endpoint must not hold a user name or password; webhooks are signed instead."
	case u.Fragment != "" || strings.Contains(endPoint, "#"):
		return "The endpoint must not have a fragment."
	}
	host := hostOf(u)
	if a, err := netip.ParseAddr(host); err == nil {
		return g.addressFault(host, []netip.Addr{a}, u)
	}
	if !isName(host) {
		return "The endpoint's host must be a name, or an address in its usual form, such as 192.0.2.1 or [2001:db8::1]."
	}
	if g.hosts[host] {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, resolveWait)
	defer cancel()
	found, err := g.lookup(ctx, "ip", host)
	var missing *net.DNSError
	if errors.As(err, &missing) && missing.IsNotFound {
		return "The endpoint's host is not known."
	} else if err != nil && u.Scheme == "http" {
		return "The endpoint must begin with https://."
	}
	return g.addressFault(host, found, u) // none found: it is asked again before a connection is opened
}

func (g *Guard) addressFault(host string, addresses []netip.Addr, u *url.URL) string {
	port := uint64(443)
	if u.Scheme == "http" {
		port = 80
	}
	if text := u.Port(); text != "" || strings.HasSuffix(u.Host, ":") {
		var err error
		if port, err = strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
			return "The endpoint's port must be a number from 1 to 65535."
		}
	}
	for _, a := range addresses {
		switch err := g.allow(host, netip.AddrPortFrom(a, uint16(port)), u.Scheme == "http"); {
		case errors.Is(err, errPlain):
			return "The endpoint must begin with https://."
		case errors.Is(err, errPort):
			return "The endpoint's port must be 443, or 1024 and above."
		case err != nil:
			return "The endpoint's host is in a network that webhooks are not sent to."
		}
	}
	return ""
}

// Why a connection is not opened.
var (
	errNetwork = errors.New("the address is in a network that webhooks are not sent to")
	errPlain   = errors.New("webhooks are sent over https only")
	errPort    = errors.New("webhooks are not sent to this port")
)

// allow decides about one address that a host has.
func (g *Guard) allow(host string, to netip.AddrPort, plain bool) error {
	a := to.Addr()
	if a.Zone() != "" {
		return errNetwork
	}
	a = a.Unmap()
	if g.hosts[host] {
		return nil
	}
	for _, n := range g.networks {
		if n.Contains(a) {
			return nil
		}
	}
	switch {
	case g.public.SafeAddr(a) != nil:
		return errNetwork
	case plain:
		return errPlain
	case to.Port() != 443 && to.Port() < 1024:
		return errPort
	}
	return nil
}

// dialer opens connections to a host, asking about the address that it is really opened to.
func (g *Guard) dialer(plain bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		d := net.Dialer{Timeout: dialWait, ControlContext: func(_ context.Context, network, real string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(real)
			if err != nil || !strings.HasPrefix(network, "tcp") {
				return errNetwork
			}
			return g.allow(host, to, plain)
		}}
		return d.DialContext(ctx, network, address)
	}
}

func hostOf(u *url.URL) string { return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) }

// isName tells whether a host can be nothing but a DNS name. What ends in a number is an address in one of the odd
// forms that some resolvers know: 0x7f.1, 0177.0.0.1, 2130706433.
func isName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	_, err := strconv.ParseUint(last, 0, 64)
	return err != nil && strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x")
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '\\' {
			return false
		}
	}
	return true
}
