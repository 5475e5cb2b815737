package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/client"
)

func TestClientCommands_CarryAFileFromOneToTheOther(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	content := bytes.Repeat([]byte("content "), 2_000_000)
	id := d.send(content, "--reference", "order 17", "--property", "k=v", "--parallel", "3")
	require.Contains(t, d.ok(d.as(deskRecipient), "inbox"), id)
	require.Equal(t, "in/a.bin", d.ok(d.as(deskRecipient), "receive", id, "--out", "in", "--confirm"))
	require.True(t, bytes.Equal(content, d.read("in/a.bin")))
	require.Empty(t, d.ok(d.as(deskRecipient), "inbox"))
	require.Contains(t, d.ok(d.as(deskSender), "status", id, "--watch"), "AllConfirmedDownloaded")
	require.Empty(t, d.unfinished(), "nothing is left")

	other := d.send(content, "--reference", "order 17")
	require.NotEqual(t, id, other, "what is finished is sent anew")
}

func TestClientCommands_SpeakJSON(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	one := func(out string, into any) {
		t.Helper()
		require.Equal(t, 0, strings.Count(out, "\n"), "one line")
		require.NoError(t, json.Unmarshal([]byte(out), into), out)
	}
	var sent sentResult
	one(d.send([]byte("content"), "--json", "--property", "k=v"), &sent)
	require.Equal(t, client.FileTransferStatusPublished, sent.Status)
	require.EqualValues(t, 7, sent.Size)
	require.Len(t, sent.SHA256, 64)

	var waiting entry
	one(d.ok(d.as(deskRecipient), "inbox", "--json"), &waiting)
	require.Equal(t, sent.ID, waiting.ID)
	require.Equal(t, "v", waiting.Properties["k"])

	var got receivedResult
	one(d.ok(d.as(deskRecipient), "receive", "--json", "--confirm", "-o", "in"), &got)
	require.Equal(t, sent.ID, got.ID)
	require.Equal(t, sent.SHA256, got.SHA256)
	require.True(t, got.Confirmed)

	var state client.FileTransferOverview
	one(d.ok(d.as(deskSender), "status", sent.ID.String(), "--json", "--watch"), &state)
	require.Equal(t, client.FileTransferStatusAllConfirmedDownloaded, state.FileTransferStatus)

	_, complaint, code := d.run(d.as("310000051"), nil, "status", sent.ID.String(), "--json")
	require.Equal(t, exitNotFound, code)
	var failed struct {
		ExitCode      int
		Code, TraceID string
		Error         string
	}
	require.NoError(t, json.Unmarshal([]byte(complaint), &failed), complaint)
	require.Equal(t, exitNotFound, failed.ExitCode)
	require.Equal(t, "BRO-00001", failed.Code)
	require.NotEmpty(t, failed.TraceID)
}

func TestClientCommands_ReadAndWriteStreams(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	content := bytes.Repeat([]byte("streamed"), 2_000_000)
	out, complaint, code := d.run(d.as(deskSender), bytes.NewReader(content), "send", "-", "--name", "s.bin", "--to", "0192:"+deskRecipient)
	require.Zero(t, code, complaint)
	id := strings.TrimSpace(out)
	out, complaint, code = d.run(d.as(deskRecipient), nil, "receive", id, "-o", "-", "--confirm")
	require.Zero(t, code, complaint)
	require.True(t, bytes.Equal(content, []byte(out)))
	require.Empty(t, d.ok(d.as(deskRecipient), "inbox"))
}

func TestClientCommands_FollowTheInbox(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := d.send([]byte("first"))
	lines, stop := d.following("inbox", "--follow")
	require.Contains(t, <-lines, first)
	second := d.send([]byte("second"))
	require.Contains(t, <-lines, second)
	require.Equal(t, exitInterrupted, stop())

	lines, stop = d.following("receive", "--follow", "--out", "in", "--confirm")
	require.Equal(t, "in/a.bin\n", <-lines)
	require.Equal(t, "in/a."+second+".bin\n", <-lines, "no file is lost")
	third := d.send([]byte("third"))
	require.Equal(t, "in/a."+third+".bin\n", <-lines)
	require.Equal(t, exitInterrupted, stop())
	require.Empty(t, d.ok(d.as(deskRecipient), "inbox"))
	require.Equal(t, "first", string(d.read("in/a.bin")))
}

func TestClientCommands_LogInWithTokensAndKeys(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := d.send([]byte("content"))
	certificate := d.broker.Certificate(deskRecipient)
	token := d.ok(d.env, "token", "--cert", certificate, "--url", d.broker.URL)
	plain := append([]string{"FORMIDLING_URL=" + d.broker.URL}, d.env[:2]...)
	plain = append(plain, "FORMIDLING_SERVICE="+d.service)
	key, registered := d.registerKey(deskRecipient)
	for name, env := range map[string][]string{
		"certificate-token": {"FORMIDLING_LOGIN=certificate-token", "FORMIDLING_CERTIFICATE=" + certificate},
		"token":             {"FORMIDLING_TOKEN=" + token},
		"token file":        {"FORMIDLING_TOKEN_FILE=" + d.file("token", []byte(token+"\n"))},
		"key-token":         {"FORMIDLING_CLIENT_KEY=" + key, "FORMIDLING_CLIENT_ID=" + registered},
	} {
		require.Contains(t, d.ok(append(env, plain...), "inbox"), id, name)
	}
}

func TestClientCommands_HaveStableExitCodes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := d.send([]byte("content"))
	file := d.file("f.txt", []byte("content"))
	cancelled := d.send([]byte("cancelled"))
	parsed, err := parseID(cancelled)
	require.NoError(t, err)
	require.NoError(t, d.sdk(deskSender).Cancel(t.Context(), parsed))
	for name, tc := range d.exitCases(file, id, cancelled) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, complaint, code := d.run(append(tc.env, "XDG_STATE_HOME="+t.TempDir()), nil, tc.args...)
			require.Equal(t, tc.code, code, complaint)
			require.Contains(t, complaint, tc.says)
		})
	}
}

// exitCase is a command, and how it ends.
type exitCase struct {
	code int
	env  []string
	args []string
	says string
}

func (d *desk) exitCases(file, id, cancelled string) map[string]exitCase {
	const unknown = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	sends := func(more ...string) []string { return append([]string{"send", file, "--to", deskRecipient}, more...) }
	without := func(name string) []string {
		var env []string
		for _, e := range d.as(deskSender) {
			if !strings.HasPrefix(e, name+"=") {
				env = append(env, e)
			}
		}
		return env
	}
	return map[string]exitCase{
		"done":                     {0, d.as(deskSender), []string{"status", id}, ""},
		"help":                     {0, nil, []string{"send", "--help"}, ""},
		"an unknown flag":          {exitUsage, d.as(deskSender), sends("--parts", "2"), "unknown flag"},
		"a flag of no kind":        {exitUsage, d.as(deskSender), sends("--parallel", "x"), "--parallel"},
		"too many parts":           {exitUsage, d.as(deskSender), sends("--parallel", "65"), "1 to 64"},
		"a way of no kind":         {exitUsage, d.as(deskSender), sends("--way", "x"), "auto, plain or tus"},
		"no file":                  {exitUsage, d.as(deskSender), []string{"send"}, "--help"},
		"a file that is not there": {exitUsage, d.as(deskSender), []string{"send", "absent", "--to", deskRecipient}, "absent"},
		"a directory":              {exitUsage, d.as(deskSender), []string{"send", d.dir, "--to", deskRecipient}, "is a directory"},
		"no name":                  {exitUsage, d.as(deskSender), []string{"send", "-", "--to", deskRecipient}, "--name"},
		"no recipient":             {exitUsage, d.as(deskSender), []string{"send", file}, "--to"},
		"no organisation":          {exitUsage, d.as(deskSender), []string{"send", file, "--to", "12"}, "nine digits"},
		"no property":              {exitUsage, d.as(deskSender), sends("--property", "k"), "KEY=VALUE"},
		"no id":                    {exitUsage, d.as(deskSender), []string{"status", "12"}, "not the id"},
		"no condition":             {exitUsage, d.as(deskSender), []string{"status", id, "-w", "--until", "x"}, "--until"},
		"no service":               {exitUsage, without("FORMIDLING_SERVICE"), []string{"inbox"}, "FORMIDLING_SERVICE"},
		"no broker":                {exitUsage, without("FORMIDLING_URL"), []string{"inbox"}, "FORMIDLING_URL"},
		"an address of no kind":    {exitUsage, d.as(deskSender), []string{"inbox", "--url", "broker.example"}, "https://"},
		"nobody":                   {exitUsage, without("FORMIDLING_CERTIFICATE"), []string{"inbox"}, "who are you"},
		"no certificate":           {exitUsage, d.as(deskSender), []string{"inbox", "--certificate", "absent.pem"}, "FORMIDLING_CERTIFICATE"},
		"no root":                  {exitUsage, d.as(deskSender), []string{"inbox", "--ca", file}, "no certificate in it"},
		"a login of no kind":       {exitUsage, d.as(deskSender), []string{"inbox", "--login", "x"}, "FORMIDLING_LOGIN"},
		"no token":                 {exitUsage, d.as(deskSender), []string{"inbox", "--login", "token"}, "FORMIDLING_TOKEN"},
		"no key":                   {exitUsage, d.as(deskSender), []string{"inbox", "--login", "key-token", "--client-key", file}, "no private key"},
		"for another":              {exitUsage, d.as(deskSender), []string{"inbox", "--on-behalf-of", "310000035"}, "certificate-token"},
		"an unknown setting":       {exitUsage, d.as(deskSender, "FORMIDLING_URI=x"), []string{"inbox"}, "did you mean FORMIDLING_URL?"},
		"two kinds of output":      {exitUsage, d.as(deskRecipient), []string{"receive", id, "-o", "-", "--json"}, "--json"},
		"many on one stream":       {exitUsage, d.as(deskRecipient), []string{"receive", "-o", "-"}, "one transfer"},
		"follow one":               {exitUsage, d.as(deskRecipient), []string{"receive", id, "--follow"}, "--follow"},
		"no right":                 {exitUnauthorized, d.as("310000051"), sends(), "BRO-00006"},
		"no credential":            {exitUnauthorized, append(without("FORMIDLING_CERTIFICATE"), "FORMIDLING_TOKEN=x"), []string{"inbox", "--url", d.broker.URL}, "FMD-00008"},
		"no trust":                 {exitUnauthorized, without("FORMIDLING_CA"), []string{"inbox"}, "certificate"},
		"no transfer":              {exitNotFound, d.as(deskSender), []string{"status", unknown}, "BRO-00001"},
		"nothing to receive":       {exitNotFound, d.as(deskRecipient), []string{"receive", unknown}, "BRO-00001"},
		"not for me":               {exitNotFound, d.as("310000051"), []string{"receive", id}, "BRO-00001"},
		"a name too long":          {exitRefused, d.as(deskSender), sends("--name", strings.Repeat("x", 300)), "fileName"},
		"a checksum of no kind":    {exitRefused, d.as(deskSender), sends("--sha256", "x"), "sha256"},
		"receiving what I sent":    {exitUnauthorized, d.as(deskSender), []string{"receive", id}, "BRO-00006"},
		"nowhere":                  {exitUnavailable, d.as(deskSender), []string{"inbox", "--url", "https://127.0.0.1:1", "--retry-for", "10ms"}, "refused"},
		"other bytes":              {exitChecksum, d.as(deskSender), sends("--sha256", strings.Repeat("0", 64)), "BRO-00009"},
		"cancelled":                {exitEnded, d.as(deskSender), []string{"status", cancelled, "--watch"}, "Cancelled"},
		"no place":                 {exitOther, d.as(deskRecipient), []string{"receive", id, "--out", file}, "not a directory"},
	}
}

func TestReceive_KeepsNoWrongBytes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := d.send([]byte("content"))
	url := d.tampering()
	env := d.as(deskRecipient, "FORMIDLING_URL="+url, "FORMIDLING_LOGIN=certificate-token", "FORMIDLING_AUDIENCE="+d.broker.URL)
	_, complaint, code := d.run(env, nil, "receive", id, "--out", "in", "--confirm")
	require.Equal(t, exitChecksum, code, complaint)
	left, err := os.ReadDir(filepath.Join(d.dir, "in"))
	require.NoError(t, err)
	require.Empty(t, left)
	_, _, code = d.run(env, nil, "receive", id, "--out", "-", "--confirm")
	require.Equal(t, exitChecksum, code)
	require.Contains(t, d.ok(d.as(deskRecipient), "inbox"), id, "it is not confirmed")
}

func TestReceive_MakesNamesHarmless(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := d.file("f", []byte("content"))
	for name, stored := range map[string]string{
		"../../etc/passwd": "passwd", `..\..\boot.ini`: "boot.ini", "\x1b[2Jname": "[2Jname", ".bashrc": "_bashrc", "..": "file", "con.txt": "_con.txt", "rtl\u202egpj.exe": "rtlgpj.exe",
	} {
		id := d.ok(d.as(deskSender), "send", file, "--to", deskRecipient, "--name", name)
		out := filepath.Join("in", id)
		require.Equal(t, filepath.Join(out, stored), d.ok(d.as(deskRecipient), "receive", id, "--out", out), name)
		require.NotContains(t, d.ok(d.as(deskRecipient), "inbox"), "\x1b")
	}
}

func TestCompletion_OffersTransfers(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := d.send([]byte("content"))
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		require.Contains(t, d.ok(d.env, "completion", shell), "formidling")
	}
	require.Contains(t, d.ok(d.as(deskRecipient), "__complete", "receive", ""), id+"\ta.bin from 0192:"+deskSender)
	require.Contains(t, d.ok(d.as(deskSender), "__complete", "status", ""), id)
	offline := d.ok(d.as(deskSender, "FORMIDLING_URL=https://127.0.0.1:1"), "__complete", "status", "")
	require.NotContains(t, offline, id)
}
