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
	// quiet is how long a counter stands still when the work is done.
	quiet = 5 * time.Second
	// firstCount is how long a process may take to its first count.
	firstCount = 3 * time.Minute
)

// watch follows a counter from its first change to its last one within the
// limit, so that neither the start of the process nor a batch cut in half
// counts.
func (s *session) watch(p *harness.Process, limit time.Duration, count func(metrics) float64) pace {
	type point struct {
		at time.Time
		n  float64
		m  metrics
	}
	var first, last point
	started, tick := time.Now(), time.NewTicker(scrapeEvery)
	defer tick.Stop()
	for changes := -1; ; <-tick.C {
		now := time.Now()
		m, ok := scrape(p)
		if ok {
			if n := count(m); changes < 0 || n != last.n {
				last = point{now, n, m}
				changes++
				if changes <= 1 {
					first = last
				}
			}
		}
		switch {
		case changes < 1 && (now.Sub(started) > firstCount || p.Exited()):
			s.Fatalf("%s counts nothing; its last line: %s", p.Name, p.Last())
		case changes < 1:
		case changes > 1 && (now.Sub(first.at) >= limit || now.Sub(last.at) >= quiet || p.Exited()):
			return pace{last.n - first.n, last.at.Sub(first.at).Seconds(), last.m.cpuSeconds() - first.m.cpuSeconds(), first.m, last.m}
		case now.Sub(last.at) > firstCount || p.Exited():
			s.Fatalf("%s counted once only; its last line: %s", p.Name, p.Last())
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
