package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"

	"profilestream/e2e/harness"
)

// cacheDays is long enough that the first weeks' horizon passes: a bundle of 150 days
// of history looks 49 days ahead.
const cacheDays = 75

// cacheUntil is where time is moved to.
var cacheUntil = shopStart.AddDate(0, 0, cacheDays+3).Format(time.RFC3339)

// encoded is what a scorer says when it stops.
type encoded struct {
	Msg            string
	Texts, Encoded int64
	FromDisk       int64   `json:"from_disk"`
	EncoderSeconds float64 `json:"encoder_seconds"`
}

// TestSecondReplayEncodesNothing replays one history twice with embeddings kept on
// disk: the second time the encoder is asked for under 1 % of the texts, and every
// score and embedding is the same, bit for bit.
func TestSecondReplayEncodesNothing(t *testing.T) {
	feed, history := simulated(t, "--users", size("E2E_CACHE_USERS", 60), "--events", size("E2E_CACHE_EVENTS", 4500), "--days", fmt.Sprint(cacheDays), "--late", "0", "--poison", "0", "--seed", "77")
	dir := filepath.Join(t.TempDir(), "embeddings")
	first, again := newRun(t, "first"), newRun(t, "again")
	a, b := first.replay(feed, dir), again.replay(feed, dir)
	t.Logf("first replay: %d texts, %d encoded in %.1f s; second: %d texts, %d encoded in %.2f s, %d found on disk",
		a.Texts, a.Encoded, a.EncoderSeconds, b.Texts, b.Encoded, b.EncoderSeconds, b.FromDisk)
	if a.Encoded < 300 || 100*b.Encoded >= a.Encoded {
		t.Errorf("the second replay encoded %d texts, the first %d: want under 1 %%", b.Encoded, a.Encoded)
	}
	sameDigests(t, first, again)
	sameScores(t, first, again)
	t.Run("the same tables from files", func(t *testing.T) { fromFiles(t, first, feed, history, dir) })
	t.Run("weeks that have matured are judged", func(t *testing.T) { matured(t, again, feed) })
	t.Run("a bundle beside itself moves nobody", func(t *testing.T) { beside(t, again, dir) })
}

// fromFiles: a run over the history as files, one JSONL and one Parquet, has the
// tables of the run that read it from the topics.
func fromFiles(t *testing.T, r *run, feed *harness.Feed, history, cache string) {
	t.Helper()
	purchases := filepath.Join(t.TempDir(), "purchases.parquet")
	writeParquet(t, purchases, feed.Purchases)
	t.Log(profilectl(t, "run", "start", "from_files", "--archive", filepath.Join(history, "clickstream.jsonl"), "--archive", purchases,
		"--until", cacheUntil, "--set", "model.cache_dir="+cache, "--force", "-c", r.config))
	out, code := r.verify(r.name, "from_files")
	if code != 0 || !strings.HasSuffix(out, "Equal.\n") {
		t.Errorf("verify: exit code %d\n%s", code, out)
	}
	t.Log(out)
}

func writeParquet(t *testing.T, path string, msgs []harness.Message) {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "kafka_ts", Type: arrow.PrimitiveTypes.Int64}, {Name: "value", Type: arrow.BinaryTypes.Binary}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, m := range msgs {
		b.Field(0).(*array.Int64Builder).Append(m.Time.UnixMilli())
		b.Field(1).(*array.BinaryBuilder).Append(m.Value)
	}
	rec := b.NewRecord()
	defer rec.Release()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(schema, f, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err == nil {
		err = errors.Join(w.Write(rec), w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// replay sends a feed and works it off through to the tables.
func (r *run) replay(feed *harness.Feed, cache string) (e encoded) {
	r.t.Helper()
	named := r.named(feed)
	r.kafka.Send(append(named.Clickstream, named.Purchases...))
	env := []string{"PROFILESTREAM_MODEL_CACHE_DIR=" + cache}
	harness.Start(r.t, "ingest", r.config, nil, "-drain", "-until", cacheUntil).MustExit(0, limit)
	scorer := harness.Start(r.t, "scorer", r.config, env, "-force", "-drain")
	scorer.MustExit(0, limit)
	harness.Start(r.t, "sink", r.config, nil, "-drain").MustExit(0, limit)
	for line := range strings.Lines(scorer.Log()) {
		if strings.Contains(line, `"msg":"scored"`) {
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				r.t.Fatal(err)
			}
			return e
		}
	}
	r.t.Fatalf("the scorer of run %s does not say what it encoded", r.name)
	return e
}

// sameScores compares every score and embedding of two runs' rows.
func sameScores(t *testing.T, a, b *run) {
	t.Helper()
	const columns = "churn_probability, churn_band, value_expected, value_band, interests, sentiment, reasons, embedding, degraded, model_version"
	for _, view := range []string{"profiles_latest", "profile_days"} {
		rows := a.engine.Rows(t, fmt.Sprintf(`SELECT count(), uniqExact(model), countIf(n != 2) FROM
			(SELECT user_id, as_of, any(model_version) AS model, count() AS n
			FROM (SELECT * FROM %[1]s.%[3]s UNION ALL SELECT * FROM %[2]s.%[3]s)
			GROUP BY user_id, as_of, cityHash64(%[4]s))`, a.database(), b.database(), view, columns))
		if len(rows) != 1 || rows[0][0] == "0" || rows[0][1] != "1" || rows[0][2] != "0" {
			t.Fatalf("%s of runs %s and %s: rows, models, rows with unequal scores = %v", view, a.name, b.name, rows)
		}
		t.Logf("%s: %s rows with equal scores", view, rows[0][0])
	}
}
