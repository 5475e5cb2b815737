package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/sys/unix"

	"github.com/formidling/formidling/client"
	"github.com/formidling/formidling/internal/testenv"
)

// terminal is a pseudo-terminal: what a program writes to the one end is read at the other.
func terminal(t *testing.T) (program *os.File, seen *testenv.Output) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = keyboard.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(keyboard.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 140}))
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = program.Close() })
	seen = &testenv.Output{}
	go func() { _, _ = io.Copy(seen, keyboard) }()
	return program, seen
}

func TestClientCommands_ShowProgressOnATerminalOnly(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	file := d.file("a.bin", bytes.Repeat([]byte("x"), 24<<20))
	for name, tc := range map[string]struct {
		args  []string
		shown bool
	}{"by default": {nil, true}, "quiet": {[]string{"--quiet"}, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			screen, seen := terminal(t)
			g := d.gate(12 << 20)
			c := d.command(d.as(deskSender, "XDG_STATE_HOME="+t.TempDir()), nil, append([]string{"send", file, "--to", deskRecipient, "--url", g.url}, tc.args...)...)
			c.Stderr = screen
			require.NoError(t, c.Start())
			g.full(t)
			if tc.shown {
				require.Eventually(t, func() bool {
					s := seen.String()
					return strings.Contains(s, "sending") && strings.Contains(s, "/s") && strings.Contains(s, " left")
				}, 30*time.Second, 20*time.Millisecond, "a bar with rate and time left")
			}
			g.let()
			require.NoError(t, c.Wait())
			require.Len(t, strings.TrimSpace(c.out.String()), 36, "the id alone is on standard output")
			if tc.shown {
				require.Eventually(t, func() bool { return strings.Contains(seen.String(), "25.2 MB / 25.2 MB") }, 10*time.Second, 20*time.Millisecond)
			} else {
				require.Empty(t, seen.String())
			}
		})
	}
	_, complaint, code := d.run(d.as(deskSender), nil, "send", file, "--to", deskRecipient)
	require.Zero(t, code)
	require.NotContains(t, complaint, "sending", "no terminal, no bar")
}

func TestSpeedometer_KnowsTheRateOfTheLastSeconds(t *testing.T) {
	t.Parallel()
	s := &speedometer{}
	require.Empty(t, s.text(decor.Statistics{}))
	now := time.Now()
	for second := range 20 { // 1 MB a second, then 2
		now = now.Add(time.Second)
		s.at(now, int64(second)*1_000_000, 30_000_000)
	}
	require.InDelta(t, 1_000_000, s.rate(), 1)
	require.Equal(t, "  1.0 MB/s  30s left", s.text(decor.Statistics{}))
	for second := range 20 {
		now = now.Add(time.Second)
		s.at(now, 20_000_000+int64(second)*2_000_000, 30_000_000)
	}
	require.InDelta(t, 2_000_000, s.rate(), 1)
	s.at(now.Add(time.Second), 0, 1)
	require.Zero(t, s.rate(), "what goes again is no speed")
}

func TestText_IsForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1 << 40: "1.1 TB", 1<<63 - 1: "9.2 EB"} {
		require.Equal(t, want, bytesText(n))
	}
	require.Equal(t, "abc", shortened("a\x1bb\nc", 3))
	require.Equal(t, "ab…", shortened("abcd", 3))
	require.Len(t, phases, 4)
	require.Contains(t, phases, client.PhaseVerifying)
}
