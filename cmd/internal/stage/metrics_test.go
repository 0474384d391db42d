package stage

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"profilestream/inference/embed"
	"profilestream/stream"
	"profilestream/stream/clickhouse"
)

// names is a registry that keeps the names of what is registered.
type names map[string]bool

var fullName = regexp.MustCompile(`fqName: "([^"]+)"`)

func (n names) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc, 16)
	go func() {
		c.Describe(ch)
		close(ch)
	}()
	for d := range ch {
		n[fullName.FindStringSubmatch(d.String())[1]] = true
	}
	return nil
}

func (n names) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		_ = n.Register(c)
	}
}

func (n names) Unregister(prometheus.Collector) bool { return false }

// TestUsedMetricsAreRegistered: every metric that a dashboard, an alert or the
// operator's guide names is registered by one of the processes.
func TestUsedMetricsAreRegistered(t *testing.T) {
	have := names{}
	newIngestMetrics(have)
	newScorerMetrics(have)
	registerEncoder(have, func() embed.Stats { return embed.Stats{} })
	clickhouse.NewMetrics(have)
	for _, component := range []string{"admission", "windowing", "scorer", "sink"} {
		if _, err := stream.NewMetrics(have, component); err != nil {
			t.Fatal(err)
		}
	}
	used := regexp.MustCompile(`profilestream_(admission|windowing|ingest|scorer|sink|breaker)_[a-z0-9_]+`)
	seen := 0
	for _, pattern := range []string{".docker/grafana/dashboards/*.json", ".docker/prometheus/*.yml", "docs/operations.md"} {
		files, err := filepath.Glob(filepath.Join("../../..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range used.FindAllString(string(text), -1) {
				seen++
				base := name
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					base = strings.TrimSuffix(base, suffix)
				}
				if !have[name] && !have[base] {
					t.Errorf("%s names %s, which no process registers", file, name)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("%d metrics are named: has the form of the files changed?", seen)
	}
}
