package harness

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// OracleConfig is what the oracle needs to know besides the topics.
type OracleConfig struct {
	LatenessMillis   int64             `json:"lateness_ms"`
	MaxFutureSkew    int64             `json:"max_future_skew_ms"`
	Currency         string            `json:"currency"`
	Rates            map[string]string `json:"rates"`
	MaxEventsUserDay int               `json:"max_events_user_day"`
	Until            string            `json:"until"`
	Partitions       map[string]int    `json:"partitions"`
	Moves            []OracleMove      `json:"moves,omitempty"`
}

// OracleMove tells of an earlier -until: which offsets came after it.
type OracleMove struct {
	Until   string           `json:"until"`
	Offsets map[string]int64 `json:"offsets"`
}

// Move records that time was moved, and where the topics end now.
func (k *Kafka) Move(until time.Time, topics ...string) OracleMove {
	m := OracleMove{Until: until.Format(time.RFC3339), Offsets: map[string]int64{}}
	for _, t := range topics {
		for p, end := range k.Ends(t) {
			m.Offsets[fmt.Sprintf("%s:%d", t, p)] = end
		}
	}
	return m
}

// Dump writes a topic to a file of JSON lines, as the oracle reads it.
func (k *Kafka) Dump(topic, path string, headers bool) {
	k.tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		k.tb.Fatal(err)
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	k.Read(topic, func(p int, m kafka.Message) {
		line := map[string]any{
			"topic": topic, "partition": p, "offset": m.Offset, "kafka_ts": m.Time.UnixMilli(),
			"key_base64": coded(m.Key), "value_base64": coded(m.Value),
		}
		if headers {
			h := map[string]string{}
			for _, x := range m.Headers {
				h[x.Key] = string(x.Value)
			}
			line["headers"] = h
			line["value_base64"] = nil
		}
		if err := enc.Encode(line); err != nil {
			k.tb.Fatal(err)
		}
	})
	if err := w.Flush(); err != nil {
		k.tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		k.tb.Fatal(err)
	}
}

func coded(b []byte) any {
	if b == nil {
		return nil
	}
	return base64.StdEncoding.EncodeToString(b)
}

// Oracle runs the oracle over the topics of a run and returns its folder.
func (k *Kafka) Oracle(cfg OracleConfig, run string, topics ...string) string {
	k.tb.Helper()
	expected, violations := k.Judge(cfg, run, topics...)
	if len(violations) > 0 {
		k.tb.Fatalf("oracle: %s", strings.Join(violations, "\n"))
	}
	return expected
}

// Judge is Oracle for a run whose own topics may be wrong: it also returns what
// the oracle finds wrong in them.
func (k *Kafka) Judge(cfg OracleConfig, run string, topics ...string) (expected string, violations []string) {
	k.tb.Helper()
	dir := k.tb.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	b, err := json.Marshal(cfg)
	if err != nil {
		k.tb.Fatal(err)
	}
	if err := os.WriteFile(path("config.json"), b, 0o600); err != nil {
		k.tb.Fatal(err)
	}
	args := []string{"--config", path("config.json"), "--late", path("late.jsonl"), "--dlq", path("dlq.jsonl"), "--out", path("expected")}
	for _, t := range topics {
		k.Dump(t, path(t+".jsonl"), false)
		args = append(args, "--input", path(t+".jsonl"))
	}
	k.Dump("profile."+run+".late", path("late.jsonl"), true)
	k.Dump("profile."+run+".dlq", path("dlq.jsonl"), true)
	out, err := python(k.tb, "oracle.py", args...)
	for s := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(s, "VIOLATION: "); ok {
			violations = append(violations, strings.TrimSpace(v))
		}
	}
	if err != nil && len(violations) == 0 {
		k.tb.Fatalf("oracle: %v\n%s", err, out)
	}
	return path("expected"), violations
}

// Compare compares the views of a database with the oracle's folder and returns
// the comparison's report, and whether all was equal.
func Compare(tb testing.TB, e *Engine, database, expected string) (report string, equal bool) {
	tb.Helper()
	dir := tb.TempDir()
	args := []string{"--expected", expected}
	for flag, view := range map[string]string{
		"--latest": "profiles_latest", "--days": "profile_days", "--accounting": "accounting", "--bad": "bad_events", "--late": "late_events",
	} {
		path := filepath.Join(dir, view+".tsv")
		e.DumpView(tb, database, view, path)
		args = append(args, flag, path)
	}
	out, err := python(tb, "compare.py", args...)
	return out, err == nil
}

func python(tb testing.TB, script string, args ...string) (string, error) {
	tb.Helper()
	cmd := exec.Command("python3", append([]string{filepath.Join(Root(tb), "e2e", "oracle", script)}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// DumpView writes a view, without its embeddings and texts, to a file.
func (e *Engine) DumpView(tb testing.TB, database, view, path string) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	body := e.query(tb, fmt.Sprintf("SELECT %s FROM %s.%s FORMAT TabSeparatedWithNames", light(view), database, view))
	defer body.Close()
	if _, err := io.Copy(f, body); err != nil {
		tb.Fatal(err)
	}
}

// light are the columns of a view that the comparison looks at.
func light(view string) string {
	switch view {
	case "profiles_latest", "profile_days":
		return "* EXCEPT (embedding, interests, reasons)"
	case "bad_events", "late_events":
		return "* EXCEPT (key, value)"
	}
	return "*"
}

// Rows runs a query and returns its rows as texts.
func (e *Engine) Rows(tb testing.TB, query string) [][]string {
	tb.Helper()
	body := e.query(tb, query+" FORMAT TabSeparated")
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]string
	for line := range strings.Lines(string(b)) {
		out = append(out, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return out
}

// Do runs a statement that returns nothing.
func (e *Engine) Do(tb testing.TB, statement string) {
	tb.Helper()
	e.query(tb, statement).Close()
}

// Count runs a query that gives one whole number.
func (e *Engine) Count(tb testing.TB, query string) int64 {
	tb.Helper()
	rows := e.Rows(tb, query)
	if len(rows) != 1 {
		tb.Fatalf("%s: %d rows", query, len(rows))
	}
	n, err := strconv.ParseInt(rows[0][0], 10, 64)
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return n
}

func (e *Engine) query(tb testing.TB, query string) io.ReadCloser {
	tb.Helper()
	res, err := http.Post("http://"+e.Addr()+"/?"+url.Values{"database": {"default"}}.Encode(), "text/plain", strings.NewReader(query))
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 2000))
		tb.Fatalf("%s: %s: %s", query, res.Status, b)
	}
	return res.Body
}
