// Package deploy_test checks what is deployed rather than compiled: the
// compose file, the dashboards, the alert rules, the grants and the SQL of the
// documentation, each by the strictest means at hand.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"gopkg.in/yaml.v3"

	"profilestream/e2e/queries"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
	"profilestream/stream/clickhouse/clickhousetest"
)

var update = flag.Bool("update", false, "write the results in docs/sql.md anew")

// TestMain runs the tests in the repository's root, which holds what they check.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestComposeFileIsValid(t *testing.T) {
	t.Setenv("CLICKHOUSE_PASSWORD", "a")
	t.Setenv("GRAFANA_PASSWORD", "b")
	o, err := cli.NewProjectOptions([]string{"docker-compose.yml"}, cli.WithOsEnv, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kafka", "clickhouse", "ingest", "scorer", "sink", "grafana", "prometheus"} {
		s, err := p.GetService(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.HealthCheck == nil || s.MemLimit == 0 {
			t.Errorf("service %s lacks a health check or a memory limit", name)
		}
	}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("service %s publishes port %s beyond the loopback interface", name, port.Published)
			}
		}
		for _, v := range s.Volumes {
			if v.Type != "bind" {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("service %s mounts a file that is not there: %v", name, err)
			}
		}
		if s.Build == nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("service %s: %v", name, err)
		}
	}
}

// sample starts an engine with the made-up customers and fresh summaries.
func sample(t *testing.T) queries.DB {
	t.Helper()
	e, err := clickhousetest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Kill() })
	db := queries.DB{Addr: e.Addr, Name: "profilestream"}
	c, err := clickhouse.Open(clickhouse.Config{
		Addr: []string{e.Addr}, Database: db.Name, Run: "live", BatchRows: 1, BatchInterval: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := clickhouse.Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, s := range statements(t, ".docker/clickhouse/sample.sql") {
		if err := db.Do(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := clickhouse.RefreshSummaries(t.Context(), c, db.Name); err != nil {
		t.Fatal(err)
	}
	return db
}

var comment = regexp.MustCompile(`(?m)^--.*$`)

func statements(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range strings.Split(comment.ReplaceAllString(string(text), ""), ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

type dashboard struct {
	UID, Title string
	Templating struct{ List []struct{ Name string } }
	Panels     []struct {
		Title, Type, Description string
		Targets                  []struct {
			RefID      string `json:"refId"`
			RawSQL     string `json:"rawSql"`
			Expr       string
			Datasource struct{ UID string }
		}
	}
}

// has reports whether the board has a variable of that name.
func (d dashboard) has(variable string) bool {
	for _, v := range d.Templating.List {
		if v.Name == variable {
			return true
		}
	}
	return false
}

func dashboards(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob(".docker/grafana/dashboards/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("dashboards: %v, %v", files, err)
	}
	var out []dashboard
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out = append(out, d)
	}
	return out
}

var bound = regexp.MustCompile(`\{([a-z][a-z0-9_]*):([A-Za-z0-9_(), ]+)\}`)

// grafanaSQL is a named query in Grafana's words: from and to are the board's
// time range, other parameters its variables.
func grafanaSQL(q schemas.Query) string {
	return bound.ReplaceAllStringFunc(q.SQL, func(p string) string {
		m := bound.FindStringSubmatch(p)
		switch {
		case m[1] == "from":
			return "$__fromTime"
		case m[1] == "to":
			return "$__toTime"
		case m[2] == "String":
			return "${" + m[1] + ":sqlstring}"
		}
		return "${" + m[1] + "}"
	})
}

// TestDashboardQueriesHaveData asks the query of every panel, which is named by
// the target's refId and kept in schemas/queries: each must answer with at least
// one row, and a single number must not be zero.
func TestDashboardQueriesHaveData(t *testing.T) {
	db := sample(t)
	named := map[string]schemas.Query{}
	all, err := schemas.Queries()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		named[q.Name] = q
	}
	asked := 0
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if target.RawSQL == "" {
					continue
				}
				asked++
				q, ok := named[target.RefID]
				if !ok || target.RawSQL != grafanaSQL(q) || p.Description != q.Doc {
					t.Errorf("%s / %s: schemas/queries/%s.sql is, in Grafana's words,\n-- %s\n%s\nnot\n-- %s\n%s",
						d.Title, p.Title, target.RefID, q.Doc, grafanaSQL(q), p.Description, target.RawSQL)
					continue
				}
				for _, param := range q.Params {
					if param.Name != "from" && param.Name != "to" && !d.has(param.Name) {
						t.Errorf("%s has no variable %s, which %s needs", d.Title, param.Name, q.Name)
					}
				}
				a, err := db.Ask(t.Context(), q, nil)
				if err != nil {
					t.Errorf("%s / %s: %v", d.Title, p.Title, err)
				} else if answer := fmt.Sprint(a.Rows); len(a.Rows) == 0 || answer == "[[0]]" || strings.Contains(strings.ToLower(answer), "nan") {
					t.Errorf("%s / %s: %s answers %s", d.Title, p.Title, q.Name, answer)
				}
			}
		}
	}
	if asked < 30 {
		t.Errorf("%d queries found in the dashboards, want at least 30: has their form changed?", asked)
	}
}

// TestEachNamedQueryIsAsked: by a panel or by the console, or it is in nobody's way
// but ours.
func TestEachNamedQueryIsAsked(t *testing.T) {
	readers, err := filepath.Glob("cmd/internal/console/*.go")
	if err != nil || len(readers) == 0 {
		t.Fatalf("sources of the console: %v, %v", readers, err)
	}
	boards, _ := filepath.Glob(".docker/grafana/dashboards/*.json")
	var text strings.Builder
	for _, file := range append(readers, boards...) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	all, err := schemas.Queries()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		if !strings.Contains(text.String(), `"`+q.Name+`"`) {
			t.Errorf("nobody asks %s", q.Name)
		}
	}
}

var documented = regexp.MustCompile("(?s)```sql\n(.*?)```\n\n```text\n(.*?)```")

// TestSQLOfTheDocs runs each query of docs/sql.md and compares the results
// shown there. go test ./e2e/deploy -run TestSQLOfTheDocs -update writes them anew.
func TestSQLOfTheDocs(t *testing.T) {
	const file = "docs/sql.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := documented.FindAllSubmatchIndex(text, -1)
	if len(found) < 10 || len(found) != bytes.Count(text, []byte("```sql")) {
		t.Fatalf("%d queries with results in %s", len(found), file)
	}
	db := sample(t)
	var out bytes.Buffer
	end := 0
	for _, m := range found {
		query, want := string(text[m[2]:m[3]]), string(text[m[4]:m[5]])
		answer, err := db.Text(t.Context(), query, "PrettySpaceNoEscapesMonoBlock")
		got := string(answer)
		if err != nil || strings.TrimSpace(got) == "" {
			t.Fatalf("no result (%v) of %s", err, query)
		}
		got = tidy(got)
		if got != want && !*update {
			t.Errorf("the result of\n%s\nis\n%s\nnot\n%s", query, got, want)
		}
		out.Write(text[end:m[4]])
		out.WriteString(got)
		end = m[5]
	}
	out.Write(text[end:])
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// tidy cuts blank lines and the spaces at the ends of lines.
func tidy(s string) string {
	var lines []string
	for _, l := range strings.Split(s, "\n") {
		if l = strings.TrimRight(l, " "); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestGrantsParse checks the grants' syntax only: the embedded engine keeps no users.
func TestGrantsParse(t *testing.T) {
	db := sample(t)
	ss := statements(t, ".docker/clickhouse/grants.sql")
	if len(ss) < 5 {
		t.Fatalf("%d statements", len(ss))
	}
	for _, s := range ss {
		if err := db.Do(t.Context(), "EXPLAIN AST "+s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	if err := db.Do(t.Context(), "EXPLAIN AST GRANT SELECT ON profilestream TOWARDS nobody"); err == nil {
		t.Error("the check accepts what is no grant")
	}
}

var metricName = regexp.MustCompile(`profilestream_[a-z0-9_]+`)

// documentedMetrics are the names in the table of docs/operations.md.
func documentedMetrics(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(profilestream_[a-z0-9_]+)").FindAllSubmatch(text, -1) {
		names = append(names, string(m[1]))
	}
	if len(names) < 15 {
		t.Fatalf("%d metrics in the table", len(names))
	}
	return names
}

// checkMetrics reports the names in a query that no process exports.
func checkMetrics(t *testing.T, where, expr string, names []string) {
	t.Helper()
	for _, n := range metricName.FindAllString(expr, -1) {
		base := n
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if base != "profilestream_" && !slices.Contains(names, base) {
			t.Errorf("%s uses %s, which is not in the table of docs/operations.md", where, n)
		}
	}
}

type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func TestAlertRules(t *testing.T) {
	text, err := os.ReadFile(".docker/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := documentedMetrics(t)
	seen := map[string]bool{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			seen[r.Alert] = true
			if r.Expr == "" || r.Annotations["summary"] == "" || !slices.Contains([]string{"warning", "critical"}, r.Labels["severity"]) {
				t.Errorf("alert %s lacks an expression, a summary or a severity", r.Alert)
			}
			if r.Annotations["runbook_url"] != "docs/operations.md#"+strings.ToLower(r.Alert) || !strings.Contains(string(runbook), "\n### "+r.Alert+"\n") {
				t.Errorf("alert %s has no paragraph in docs/operations.md", r.Alert)
			}
			if strings.Count(r.Expr, "(") != strings.Count(r.Expr, ")") || strings.Count(r.Expr, "{") != strings.Count(r.Expr, "}") {
				t.Errorf("alert %s: unbalanced brackets", r.Alert)
			}
			checkMetrics(t, "alert "+r.Alert, r.Expr, names)
		}
	}
	for _, need := range []string{"LagGrows", "BreakerOpen", "DeadLetterRate", "WatermarkStuck", "NoRows"} {
		if !seen[need] {
			t.Errorf("there is no alert %s", need)
		}
	}
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				checkMetrics(t, strconv.Quote(d.Title+" / "+p.Title), target.Expr, names)
			}
		}
	}
}

// TestDocumentedMetricsAreExported looks for the last word of each metric's
// name in the sources, where names are put together from parts.
func TestDocumentedMetricsAreExported(t *testing.T) {
	var source strings.Builder
	for _, dir := range []string{"cmd", "stream", "inference"} {
		err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				b, err := os.ReadFile(path)
				source.Write(b)
				return err
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range documentedMetrics(t) {
		_, rest, _ := strings.Cut(strings.TrimPrefix(name, "profilestream_"), "_")
		if !strings.Contains(source.String(), `"`+name+`"`) && !strings.Contains(source.String(), `"`+rest+`"`) {
			t.Errorf("no source names %s", name)
		}
	}
}
