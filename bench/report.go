package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that one run found.
type report struct {
	Machine   machine   `json:"machine"`
	Started   time.Time `json:"started"`
	LoadAtEnd string    `json:"loadAtEnd"`
	Parts     []result  `json:"parts"`
}

// result is what one part found.
type result struct {
	Part       string   `json:"part"`
	What       string   `json:"what"`
	Seconds    float64  `json:"seconds"`
	LoadBefore string   `json:"loadBefore"`
	Tables     []table  `json:"tables"`
	Targets    []target `json:"targets"`
	Notes      []string `json:"notes,omitempty"`
	Error      string   `json:"error,omitempty"`
}

// table is printed aligned, and written as one object for each row.
type table struct {
	title   string
	columns []string
	rows    [][]any // string, int or float64
}

// target compares a figure with the number to reach.
type target struct {
	What    string `json:"what"`
	Figure  number `json:"figure"`
	Unit    string `json:"unit,omitempty"`
	Bound   string `json:"bound"`
	Reached bool   `json:"reached"`
}

// number is a float that may be missing, which JSON has no NaN for.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(math.Round(float64(n)*1e4) / 1e4)
}

// MarshalJSON implements json.Marshaler.
func (t table) MarshalJSON() ([]byte, error) {
	rows := make([]map[string]any, len(t.rows))
	for i, row := range t.rows {
		rows[i] = map[string]any{}
		for j, cell := range row {
			if f, ok := cell.(float64); ok {
				cell = number(f)
			}
			name := t.columns[j]
			if name == "" {
				name = "row"
			}
			rows[i][name] = cell
		}
	}
	return json.Marshal(map[string]any{"title": t.title, "rows": rows})
}

func (t *table) add(cells ...any) { t.rows = append(t.rows, cells) }

func (t table) print(w io.Writer) {
	fmt.Fprintf(w, "\n  %s\n", t.title)
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells []string) {
		// the first column reads from the left, the others stand under each other from the right
		fmt.Fprintf(aligned, "    %s\t%s\t\n", padded(cells[0], t.firstWidth()), strings.Join(cells[1:], "\t"))
	}
	line(t.columns)
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = format(c)
		}
		line(cells)
	}
	_ = aligned.Flush()
}

func (t table) firstWidth() int {
	width := len([]rune(t.columns[0]))
	for _, row := range t.rows {
		width = max(width, len([]rune(format(row[0]))))
	}
	return width
}

func padded(s string, width int) string { return s + strings.Repeat(" ", width-len([]rune(s))) }

// format gives a number three digits or so.
func format(cell any) string {
	f, ok := cell.(float64)
	switch {
	case !ok:
		return fmt.Sprint(cell)
	case math.IsNaN(f):
		return "-"
	case math.Abs(f) >= 100:
		return fmt.Sprintf("%.0f", f)
	case math.Abs(f) >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// atLeast is reached by this much or more.
func atLeast(what string, figure, bound float64, unit string) target {
	return target{what, number(figure), unit, "≥ " + bare(bound), figure >= bound}
}

// atMost is reached by this much or less.
func atMost(what string, figure, bound float64, unit string) target {
	return target{what, number(figure), unit, "≤ " + bare(bound), figure <= bound}
}

// bare writes a bound without digits that say nothing.
func bare(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}

func (r *result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "\n== %s: %s (%.0f s, load before %s)\n", r.Part, r.What, r.Seconds, r.LoadBefore)
	for _, t := range r.Tables {
		t.print(w)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  %s\n", n)
	}
	if r.Error != "" {
		fmt.Fprintf(w, "  FAILED: %s\n", r.Error)
	}
}

// printTargets puts all that was to be reached in one table at the end.
func (r *report) printTargets(w io.Writer) {
	t := table{title: "to reach", columns: []string{"", "found", "", "bound", "reached"}}
	for _, p := range r.Parts {
		for _, g := range p.Targets {
			reached := "yes"
			if !g.Reached {
				reached = "NO"
			}
			t.add(g.What, float64(g.Figure), g.Unit, g.Bound, reached)
		}
	}
	if len(t.rows) > 0 {
		t.print(w)
	}
	fmt.Fprintf(w, "\n  load at the end %s\n", r.LoadAtEnd)
}

func (r *report) write(file string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(raw, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}
