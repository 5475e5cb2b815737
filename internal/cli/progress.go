package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/formidling/formidling/client"
)

// display is what a person sees on standard error: a bar on a terminal, and notices. A nil display shows nothing.
type display struct {
	w     io.Writer
	bars  *mpb.Progress // nil when there is no terminal
	quiet bool

	mu    sync.Mutex
	bar   *mpb.Bar
	meter *speedometer
	last  client.Progress
	title string
}

func newDisplay(w io.Writer, quiet bool) *display {
	d := &display{w: w, quiet: quiet}
	if f, ok := w.(*os.File); ok && !quiet && isatty.IsTerminal(f.Fd()) {
		d.bars = mpb.New(mpb.WithOutput(w), mpb.WithRefreshRate(120*time.Millisecond), mpb.WithAutoRefresh())
		d.w = d.bars
	}
	return d
}

// titled names the file that the next bars are about.
func (d *display) titled(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.title = name
}

// progress shows how far a journey has come.
func (d *display) progress(p client.Progress) {
	if d.bars == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar == nil || p.Phase != d.last.Phase || p.Transfer != d.last.Transfer {
		d.finish()
		d.begin(p)
	}
	d.last = p
	d.meter.at(time.Now(), p.Done-p.Resumed, p.Total-p.Done)
	d.bar.SetCurrent(p.Done)
}

// phases says what a phase is in a word.
var phases = map[client.Phase]string{
	client.PhaseChecksum: "reading", client.PhaseUpload: "sending", client.PhaseDownload: "receiving", client.PhaseVerifying: "verifying",
}

func (d *display) begin(p client.Progress) {
	d.meter = &speedometer{}
	counters := decor.Counters(decor.SizeB1000(0), "% .1f / % .1f")
	if p.Total < 0 {
		counters = decor.Current(decor.SizeB1000(0), "% .1f")
	}
	d.bar = d.bars.AddBar(0, // it does not complete by itself: bytes may have to be sent again
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-9s %s ", phases[p.Phase], shortened(d.title, 30)))),
		mpb.AppendDecorators(counters, decor.Any(d.meter.text)))
	d.bar.SetTotal(max(p.Total, 0), false)
	if p.Resumed > 0 {
		d.bar.SetRefill(p.Resumed)
	}
}

// finish leaves the bar as it is; the next one gets a line of its own.
func (d *display) finish() {
	if d.bar == nil {
		return
	}
	if d.last.Done == d.last.Total {
		d.bar.SetTotal(-1, true)
	} else {
		d.bar.Abort(false)
	}
	d.bar = nil
}

// notice prints a line, above the bar.
func (d *display) notice(format string, args ...any) {
	if !d.quiet {
		_, _ = fmt.Fprintf(d.w, format+"\n", args...)
	}
}

// retrying prints a failure after which another attempt follows.
func (d *display) retrying(err error, pause time.Duration) {
	d.notice("%v; trying again in %s", err, pause.Round(100*time.Millisecond))
}

// close leaves the terminal in order.
func (d *display) close() {
	d.mu.Lock()
	d.finish()
	d.mu.Unlock()
	if d.bars != nil {
		d.bars.Wait()
		d.w, d.bars = os.Stderr, nil
	}
}

// speedometer measures the rate of the last seconds, and estimates the time left from it.
type speedometer struct {
	mu      sync.Mutex
	samples []sample // oldest first, at most speedWindow old
	left    int64
}

type sample struct {
	at   time.Time
	done int64
}

const (
	speedWindow = 8 * time.Second
	speedStep   = 200 * time.Millisecond
)

func (s *speedometer) at(now time.Time, done, left int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = left
	if n := len(s.samples); n > 1 && now.Sub(s.samples[n-2].at) < speedStep {
		s.samples[n-1] = sample{now, done}
		return
	}
	s.samples = append(s.samples, sample{now, done})
	for len(s.samples) > 2 && now.Sub(s.samples[0].at) > speedWindow {
		s.samples = s.samples[1:]
	}
}

// rate is in bytes per second; 0 while it is not known.
func (s *speedometer) rate() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.samples) < 2 {
		return 0
	}
	first, last := s.samples[0], s.samples[len(s.samples)-1]
	if last.done <= first.done || !last.at.After(first.at) {
		return 0
	}
	return float64(last.done-first.done) / last.at.Sub(first.at).Seconds()
}

func (s *speedometer) text(decor.Statistics) string {
	rate := s.rate()
	if rate <= 0 {
		return ""
	}
	text := fmt.Sprintf("  %s/s", bytesText(int64(rate)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 {
		text += "  " + time.Duration(float64(s.left)/rate*float64(time.Second)).Round(time.Second).String() + " left"
	}
	return text
}

// bytesText is a size for people.
func bytesText(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.1f %cB", value, units[unit])
}

// shortened is at most n characters of a text, and no control character, for a terminal.
func shortened(text string, n int) string {
	runes := []rune(strings.ToValidUTF8(visible(text), ""))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}
