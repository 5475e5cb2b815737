package models

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxReminders is how many reminders a service may ask for.
const maxReminders = 10

// applyReminders reads when recipients are reminded: each once, the longest time before expiry first.
func applyReminders(r *Resource, p ResourcePatch) error {
	if p.ConfirmationReminders == nil {
		return nil
	}
	if len(*p.ConfirmationReminders) > maxReminders {
		return InvalidField("confirmationReminders", fmt.Sprintf("At most %d reminders can be asked for.", maxReminders))
	}
	r.ConfirmationReminders = []time.Duration{}
	for i, given := range *p.ConfirmationReminders {
		d, err := ParseDuration(given)
		if err != nil || d < time.Second || d >= MaxTimeToLive {
			return InvalidField(fmt.Sprintf("confirmationReminders[%d]", i),
				"A reminder must be an ISO 8601 duration before expiry, from PT1S to less than P365D, such as P7D.")
		}
		r.ConfirmationReminders = append(r.ConfirmationReminders, d.Truncate(time.Second))
	}
	slices.SortFunc(r.ConfirmationReminders, func(a, b time.Duration) int { return int((b - a) / time.Second) })
	r.ConfirmationReminders = slices.Compact(r.ConfirmationReminders)
	return nil
}

// Reminder is the moment at which those who have not confirmed are reminded of a transfer.
type Reminder struct {
	At   time.Time
	Left time.Duration // until expiry
}

// NextReminder returns the first reminder after a moment; nil when none is left before expiry.
func (a Acceptance) NextReminder(after time.Time) *Reminder {
	var next *Reminder
	for _, left := range a.Reminders {
		at := a.Expires.Add(-left)
		if at.After(after) && (next == nil || at.Before(next.At)) {
			next = &Reminder{at, left}
		}
	}
	return next
}

// ISODurations writes each as ISODuration does.
func ISODurations(all []time.Duration) []string {
	out := make([]string, len(all))
	for i, d := range all {
		out[i] = ISODuration(d)
	}
	return out
}

// ISODuration writes a duration of whole seconds as ISO 8601, for example P7D or P1DT12H.
func ISODuration(d time.Duration) string {
	var out strings.Builder
	out.WriteString("P")
	if days := d / day; days > 0 {
		fmt.Fprintf(&out, "%dD", days)
	}
	if d%day > 0 || d == 0 {
		out.WriteString("T")
	}
	rest := d % day
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "H"}, {time.Minute, "M"}, {time.Second, "S"}} {
		if n := rest / u.unit; n > 0 || d == 0 && u.unit == time.Second {
			fmt.Fprintf(&out, "%d%s", n, u.name)
		}
		rest %= u.unit
	}
	return out.String()
}
