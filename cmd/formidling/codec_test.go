package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/workflows"
)

func TestCodec_LetsTheTemporalUIReadPayloads(t *testing.T) {
	t.Parallel()
	const keys, ui = "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "http://127.0.0.1:8233"
	api, err := testenv.FreePort()
	require.NoError(t, err)
	codec, err := testenv.FreePort()
	require.NoError(t, err)
	dir := t.TempDir()
	testenv.Run(t, "formidling", []string{
		"DATABASE_URL=sqlite:" + dir + "/f.db", "OBJECTS=" + dir, "FORMIDLING_DATA=" + dir, "FORMIDLING_PAYLOAD_KEYS=" + keys,
		fmt.Sprintf("FORMIDLING_LISTEN=127.0.0.1:%d", api), fmt.Sprintf("FORMIDLING_CODEC_LISTEN=127.0.0.1:%d", codec), "FORMIDLING_TEMPORAL_UI=" + ui,
	}, "api")
	testenv.Answers(t, fmt.Sprintf("http://127.0.0.1:%d/livez", api))

	encryption, err := workflows.NewEncryption(keys)
	require.NoError(t, err)
	plain, err := converter.GetDefaultDataConverter().ToPayloads("a file name")
	require.NoError(t, err)
	sealed, err := encryption.Encode(plain.Payloads)
	require.NoError(t, err)
	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: sealed})
	require.NoError(t, err)
	decode := fmt.Sprintf("http://127.0.0.1:%d/decode", codec)
	require.Eventually(t, func() bool { // it is another listener than the API's
		connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", codec))
		return err == nil && connection.Close() == nil
	}, 10*time.Second, 20*time.Millisecond)
	response, err := http.Post(decode, "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, ui, response.Header.Get("Access-Control-Allow-Origin"))
	var opened struct{ Payloads []struct{ Data []byte } }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&opened))
	require.Equal(t, `"a file name"`, string(opened.Payloads[0].Data))

	asked, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, decode, nil)
	require.NoError(t, err)
	response, err = http.DefaultClient.Do(asked)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusNoContent, response.StatusCode, "a browser asks first")
}
