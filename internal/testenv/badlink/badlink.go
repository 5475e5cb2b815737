// Package badlink gives tests network links that break. It stands apart from testenv so that only tests that ask for
// it link the proxy.
package badlink

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// Cut returns a URL that leads to server over a link on which every connection is cut after so many bytes: up counts
// those that the client sends, down those that it receives; 0 is no limit.
func Cut(t testing.TB, server string, up, down int64) string {
	t.Helper()
	to, err := url.Parse(server)
	require.NoError(t, err)
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), t.Name(), "127.0.0.1:0", to.Host)
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	for direction, limit := range map[string]int64{"upstream": up, "downstream": down} {
		if limit == 0 {
			continue
		}
		toxic := fmt.Sprintf(`{"type":"limit_data","stream":%q,"attributes":{"bytes":%d}}`, direction, limit)
		_, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
		require.NoError(t, err)
	}
	return "http://" + proxy.Listen
}
