package main

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"profilestream/e2e/harness"
)

// metrics are the series of a /metrics page: name and labels to value.
type metrics map[string]float64

func parseMetrics(r io.Reader) (metrics, error) {
	m := metrics{}
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		line := scan.Text()
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, err
		}
		m[line[:i]] = v
	}
	return m, scan.Err()
}

// sum adds up the series of a name whose labels contain label.
func (m metrics) sum(name, label string) float64 {
	var total float64
	for series, v := range m {
		base, labels, _ := strings.Cut(series, "{")
		if base == name && strings.Contains(labels, label) {
			total += v
		}
	}
	return total
}

func (m metrics) cpuSeconds() float64 { return m["process_cpu_seconds_total"] }

// scrape reads a process's metrics; false when it does not answer (any more).
func scrape(p *harness.Process) (metrics, bool) {
	if p.Admin() == "" || p.Exited() {
		return nil, false
	}
	res, err := http.Get("http://" + p.Admin() + "/metrics")
	if err != nil {
		return nil, false
	}
	defer res.Body.Close()
	m, err := parseMetrics(res.Body)
	return m, err == nil
}

// pace is how a counter of a process grew.
type pace struct {
	n, wall, cpu float64 // counted; seconds
	first, last  metrics // at the first and the last change
}

// grew is how much another counter grew meanwhile.
func (p pace) grew(name string) float64 { return p.last.sum(name, "") - p.first.sum(name, "") }

const (
	scrapeEvery = 100 * time.Millisecond
	// patientFor is how long a counter may stand still.
	patientFor = 3 * time.Minute
	// leastChanges of a counter after the first one make a pace.
	leastChanges = 3
)

// watch follows a counter from its first change to the first one after the
// duration, or until it reaches all, so that neither the start of the process
// nor a batch cut in half counts.
func (s *session) watch(p *harness.Process, duration time.Duration, all float64, count func(metrics) float64) pace {
	type point struct {
		at time.Time
		n  float64
		m  metrics
	}
	var first, last point
	tick := time.NewTicker(scrapeEvery)
	defer tick.Stop()
	for changes, waiting := -1, time.Now(); ; <-tick.C {
		now := time.Now()
		if p.Exited() || now.Sub(waiting) > patientFor {
			s.Fatalf("%s does not count on; its last line: %s", p.Name, p.Last())
		}
		m, ok := scrape(p)
		if !ok {
			continue
		}
		n := count(m)
		if changes >= 0 && n == last.n {
			continue
		}
		last, waiting = point{now, n, m}, now
		if changes++; changes <= 1 {
			first = last
			continue
		}
		if n >= all || changes > leastChanges && now.Sub(first.at) >= duration {
			return pace{last.n - first.n, last.at.Sub(first.at).Seconds(), last.m.cpuSeconds() - first.m.cpuSeconds(), first.m, last.m}
		}
	}
}

// count is the number of series of a name.
func (m metrics) count(name string) (n float64) {
	for series := range m {
		if base, _, _ := strings.Cut(series, "{"); base == name {
			n++
		}
	}
	return n
}
