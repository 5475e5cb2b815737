package models

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

// durationPattern is ISO 8601's duration, as XML Schema has it, with whole numbers except for seconds.
var durationPattern = regexp.MustCompile(`^(-)?P(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})W)?(?:(\d{1,9})D)?(T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,9}))?S)?)?$`)

var errDuration = errors.New("parse duration: not an ISO 8601 duration")

const day = 24 * time.Hour

// ParseDuration reads an ISO 8601 duration such as P30D or PT2H30M. A year counts 365 days and a
// month 30, as .NET does. Fractions are allowed in the seconds only.
func ParseDuration(s string) (time.Duration, error) {
	m := durationPattern.FindStringSubmatch(s)
	if m == nil || s == "P" || s == "-P" || m[6] == "T" {
		return 0, errDuration
	}
	units := []struct {
		group int
		unit  time.Duration
	}{{2, 365 * day}, {3, 30 * day}, {4, 7 * day}, {5, day}, {7, time.Hour}, {8, time.Minute}, {9, time.Second}}
	var total time.Duration
	seen := false
	for _, u := range units {
		if m[u.group] == "" {
			continue
		}
		seen = true
		n, _ := strconv.ParseInt(m[u.group], 10, 64) // at most nine digits, so it fits
		if n > (math.MaxInt64-int64(total))/int64(u.unit) {
			return 0, errDuration
		}
		total += time.Duration(n) * u.unit
	}
	if !seen {
		return 0, errDuration
	}
	if f := m[10]; f != "" {
		n, _ := strconv.ParseInt((f + "000000000")[:9], 10, 64)
		total += time.Duration(n)
	}
	if m[1] != "" {
		total = -total
	}
	return total, nil
}

// FormatDuration writes .NET's constant form, as clients expect (docs/reference/altinn-broker.md 1.5):
// [d.]hh:mm:ss[.fffffff], for example 30.00:00:00.
func FormatDuration(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	out := sign
	if days := d / day; days > 0 {
		out += fmt.Sprintf("%d.", days)
	}
	d %= day
	out += fmt.Sprintf("%02d:%02d:%02d", d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second)
	if ticks := d % time.Second / 100; ticks > 0 {
		out += fmt.Sprintf(".%07d", ticks)
	}
	return out
}
