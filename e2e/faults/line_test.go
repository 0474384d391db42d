package faults

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// line is what is printed of one row of the matrix: what was done, what was
// compared, and what was found wrong.
type line struct {
	row    int
	name   string
	seed   uint64
	rounds int

	kills      int // faults injected: kills, stops, cuts, refusals, by the row
	recoveries int // of them, after which the pipeline was seen working again
	events     int // records of the input topics
	rows       int // of all tables, compared with the oracle's
	columns    int
	leastLag   int64 // smallest lag seen at a kill; -1 without one
	points     map[string]int

	lost, duplicated, wrong int
	differing               int      // of these, what differs from the oracle; the rest are expectations of the row's
	why                     []string // what was found wrong, and where
	notes                   []string
	seconds                 float64
}

func (l *line) red() bool { return l.lost+l.duplicated+l.wrong > 0 }

// add joins the line of a further round of the same row.
func (l *line) add(o *line) {
	l.rounds += o.rounds
	l.kills += o.kills
	l.recoveries += o.recoveries
	l.events += o.events
	l.rows += o.rows
	l.columns = max(l.columns, o.columns)
	if l.leastLag < 0 || o.leastLag >= 0 && o.leastLag < l.leastLag {
		l.leastLag = o.leastLag
	}
	for name, n := range o.points {
		l.points[name] += n
	}
	l.lost += o.lost
	l.duplicated += o.duplicated
	l.wrong += o.wrong
	l.why = append(l.why, o.why...)
	l.notes = append(l.notes, o.notes...)
	l.seconds += o.seconds
}

const lineFormat = "%3s  %-42s %6s %6s %10s %8s %7s %7s %9s %5s %10s %6s %5s\n"

func printHead(w io.Writer) {
	fmt.Fprintf(w, lineFormat, "row", "fault", "rounds", "kills", "recoveries", "events", "rows", "columns", "least lag", "lost", "duplicated", "wrong", "s")
}

func (l *line) print(w io.Writer) {
	lag := "-"
	if l.leastLag >= 0 {
		lag = fmt.Sprint(l.leastLag)
	}
	fmt.Fprintf(w, lineFormat, fmt.Sprint(l.row), l.name, fmt.Sprint(l.rounds), fmt.Sprint(l.kills), fmt.Sprint(l.recoveries), fmt.Sprint(l.events),
		fmt.Sprint(l.rows), fmt.Sprint(l.columns), lag, fmt.Sprint(l.lost), fmt.Sprint(l.duplicated), fmt.Sprint(l.wrong), fmt.Sprintf("%.0f", l.seconds))
}

// details are the lines below the table: seeds, points and what was seen.
func (l *line) details(w io.Writer) {
	fmt.Fprintf(w, "row %d, seed %d", l.row, l.seed)
	if len(l.points) > 0 {
		var hits []string
		for _, name := range slices.Sorted(maps.Keys(l.points)) {
			hits = append(hits, fmt.Sprintf("%s=%d", name, l.points[name]))
		}
		fmt.Fprintf(w, "; %s", strings.Join(hits, " "))
	}
	fmt.Fprintln(w)
	for _, s := range l.notes {
		fmt.Fprintf(w, "    %s\n", s)
	}
	for _, s := range l.why {
		fmt.Fprintf(w, "  ! %s\n", s)
	}
}
