package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/e2e/harness"
	model "profilestream/inference/bundle"
	"profilestream/inference/heads"
)

const (
	silentUsers = 260
	activeUsers = 40
)

// promoted is a run whose models are promoted while events stream in.
type promoted struct {
	*run
	dir    string // of the bundles
	scorer *harness.Process
	stream *load
}

func (p *promoted) bundle(name string) string { return filepath.Join(p.dir, name) }

// env points a process at the run's first bundle and its store.
func (p *promoted) env(store string) []string {
	return []string{
		"PROFILESTREAM_MODEL_DIR=" + p.bundle("first"), "PROFILESTREAM_MODEL_STORE=" + p.bundle(store),
		"PROFILESTREAM_PROFILE_LIVE_INTERVAL=200ms", "PROFILESTREAM_CLICKHOUSE_BATCH_INTERVAL=200ms",
	}
}

// TestPromotionUnderLoad promotes and rolls back bundles while events stream in,
// on real Kafka, the real engine and the real encoder.
func TestPromotionUnderLoad(t *testing.T) {
	p := startPromoted(t)
	p.workWith("first", 0, "")
	p.must("promote", p.bundle("first"))
	p.workWith("first", 1, "")
	before := p.silent()

	begun := time.Now()
	p.must("promote", p.bundle("second"))
	p.workWith("second", 2, "")
	p.noPause("promotion of another encoder and other heads", begun)
	if moved := p.silent(); cmp.Equal(before, moved) {
		t.Error("another model gives all silent users equal scores")
	}

	begun = time.Now()
	p.must("rollback")
	p.workWith("first", 3, "")
	p.noPause("rollback", begun)
	if d := cmp.Diff(before, p.silent()); d != "" {
		t.Errorf("the rollback does not restore the scores:\n%.2000s", d)
	}
	t.Logf("the rollback restores the scores of %d silent users bit for bit", len(before))

	if code, out := p.profilectl("store", "list"); code != 0 || !strings.Contains(out, "at work, back to 1") {
		t.Errorf("profilectl model list: exit code %d\n%s", code, out)
	}

	t.Run("a refused bundle is refused", p.refused)
	t.Run("a damaged bundle keeps the old one at work", p.damaged)
	p.stream.stop(t)
	p.oneModelAMessage()
	p.recomputed()
}

// recomputed: a stored score is made again with the bundle of its model_version,
// though the configuration names another one.
func (p *promoted) recomputed() {
	p.t.Helper()
	user := p.engine.Rows(p.t, "SELECT user_id FROM "+p.database()+".profiles_latest ORDER BY cityHash64(user_id) LIMIT 1")[0][0]
	cmd := exec.CommandContext(p.t.Context(), harness.Binary(p.t, "profilectl"), "explain", user, "--stored", "--events", "10", "-c", p.config)
	cmd.Env = append(os.Environ(), p.env("store")...)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "model "+p.id("second")) || !strings.Contains(string(out), "the same digest, the same scores") {
		p.t.Errorf("a stored row is made again: %v\n%s", err, out)
	}
}

// refused: neither promote nor a scorer takes a bundle that the gate refused,
// unless it is forced, which then stands in every row.
func (p *promoted) refused(t *testing.T) {
	code, out := p.profilectl("store", "promote", p.bundle("refused"))
	if code != 1 || !strings.Contains(out, "the gate refused bundle "+p.id("refused")) || !strings.Contains(out, "--force") {
		t.Errorf("promote: exit code %d: %s", code, out)
	}
	env := append(p.env("store"), "PROFILESTREAM_RUN=refusing", "PROFILESTREAM_MODEL_DIR="+p.bundle("refused"))
	scorer := harness.Start(t, "scorer", p.config, env)
	scorer.MustExit(2, time.Minute)
	if log := scorer.Log(); !strings.Contains(log, "model.dir") || !strings.Contains(log, "refused") {
		t.Errorf("the scorer said: %s", log)
	}
	harness.Start(t, "scorer", p.config, env, "-force", "-drain").MustExit(0, time.Minute)

	begun := time.Now()
	p.must("promote", "--force", p.bundle("refused"))
	p.workWith("refused", 4, "/forced")
	p.noPause("promotion of other heads", begun)
}

// damaged: a scorer whose store holds a damaged copy goes on with the model at
// work, says so, and takes the promoted one once the copy is mended.
func (p *promoted) damaged(t *testing.T) {
	file := filepath.Join(p.bundle("store"), p.id("second"), model.HeadsFile)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	p.mustIn("elsewhere", "promote", p.bundle("second")) // from a machine with a store of its own
	p.notReady("model: promotion 4 stays at work")
	metrics, err := get(p.scorer.Admin(), "/metrics")
	if err != nil || strings.Contains(metrics, "profilestream_scorer_model_load_failures_total 0\n") || !strings.Contains(metrics, `profilestream_scorer_model_info{model_version="`+p.id("refused")) {
		t.Errorf("metrics, %v:\n%s", err, metrics)
	}
	if n := strings.Count(p.scorer.Log(), "cannot load a promoted model"); n != 1 {
		t.Errorf("the failure is logged %d times", n)
	}
	// Rows that wait do not keep a scorer from ending; one that starts has no model.
	p.scorer.Signal(syscall.SIGTERM)
	p.scorer.MustExit(0, time.Minute)
	t.Logf("peak memory of the scorer, which had two encoders at a time: %d MiB", p.scorer.PeakBytes()>>20)
	p.scorer = harness.Start(t, "scorer", p.config, p.env("store"))
	p.notReady("model: no model is at work")
	p.must("promote", p.bundle("second")) // at work already; its copy is mended
	p.workWith("second", 5, "")
	p.scorer.Ready(time.Minute)
}

// notReady waits until the scorer says why it is not, and names the damaged file.
func (p *promoted) notReady(why string) {
	p.t.Helper()
	harness.Eventually(p.t, time.Minute, "the scorer says that it is not ready", func() error {
		if p.scorer.Admin() == "" {
			return errors.New("does not listen yet")
		}
		body, err := get(p.scorer.Admin(), "/readyz")
		if err == nil && (!strings.Contains(body, why) || !strings.Contains(body, model.HeadsFile)) {
			err = errors.New(body)
		}
		return err
	})
}

// startPromoted makes the bundles, starts the processes and the load, and waits
// until every user has a row.
func startPromoted(t *testing.T) *promoted {
	t.Helper()
	p := &promoted{run: newRun(t, "promoted"), dir: filepath.Join(t.TempDir(), "models")}
	p.makeBundles(bundle(t))
	p.stream = startLoad(t, p.kafka.Addr, p.topics[0])
	env := p.env("store")
	ingest, sink := p.start("ingest", env...), p.start("sink", env...)
	p.scorer = harness.Start(t, "scorer", p.config, env)
	for _, x := range []*harness.Process{ingest, sink, p.scorer} {
		x.Ready(2 * time.Minute)
	}
	return p
}

// makeBundles writes variants of a bundle: the first as it is, the second with
// other heads and an encoder of other bytes, and one that was never judged.
func (p *promoted) makeBundles(from string) {
	p.t.Helper()
	passed := []byte(`{"gate":{"passed":true,"samples":1,"level":0.95,"checks":[{"name":"ahead of recency","metric":"roc_auc","against":"recency","difference":{"value":0.1,"low":0.05,"high":0.15},"judged":"low","limit":0,"passed":true}]}}`)
	other := filepath.Join(p.t.TempDir(), model.EncoderFile)
	raw, err := os.ReadFile(filepath.Join(from, model.EncoderFile))
	if err == nil {
		err = os.WriteFile(other, append(raw, 0x32, 1, 'x'), 0o600) // ONNX: doc_string = "x"
	}
	if err != nil {
		p.t.Fatal(err)
	}
	for name, v := range map[string]struct {
		shift   float64 // of churn
		encoder string
		gate    []byte
	}{"first": {0, "", passed}, "second": {.5, other, passed}, "refused": {-.5, "", []byte("{}")}} {
		variant(p.t, from, p.bundle(name), v.shift, v.encoder, v.gate)
	}
}

// variant writes a bundle like another one, with its churn moved, the gate's verdict
// and, where one is given, an encoder from a file.
func variant(t *testing.T, from, to string, shift float64, encoder string, gate []byte) {
	t.Helper()
	b, err := model.Load(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []*heads.Set{&b.Heads.Full, &b.Heads.Numeric} {
		shiftChurn(&set.Churn.Calibration, shift)
	}
	files := map[string]string{}
	for n := range b.Manifest.Files {
		switch n {
		case model.HeadsFile, model.EvaluationFile, model.ReportFile:
		default:
			files[n] = b.Path(n)
		}
	}
	if encoder != "" {
		files[model.EncoderFile] = encoder
	}
	if _, err := model.Write(to, model.Contents{Heads: b.Heads, Evaluation: gate, Files: files}); err != nil {
		t.Fatal(err)
	}
}

// shiftChurn moves every probability towards 1 or 0.
func shiftChurn(c *heads.Calibration, by float64) {
	c.B += by
	for i, q := range c.P {
		c.P[i] = q + by*q*(1-q)
	}
}

func (p *promoted) id(name string) string {
	p.t.Helper()
	return idOf(p.t, p.bundle(name))
}

func idOf(t *testing.T, dir string) string {
	t.Helper()
	b, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b.ID()
}

// profilectl runs profilectl model ... with a store.
func (p *promoted) profilectl(store string, args ...string) (code int, output string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.Binary(p.t, "profilectl"), append([]string{"model", "-c", p.config}, args...)...)
	cmd.Env = append(os.Environ(), p.env(store)...)
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (p *promoted) must(args ...string) { p.t.Helper(); p.mustIn("store", args...) }

func (p *promoted) mustIn(store string, args ...string) {
	p.t.Helper()
	code, out := p.profilectl(store, args...)
	if code != 0 {
		p.t.Fatalf("profilectl model %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	p.t.Logf("profilectl model %s:\n%s", strings.Join(args, " "), bytes.TrimSpace([]byte(out)))
}

// workWith waits until the newest row of every user is of one bundle and of at
// least a promotion.
func (p *promoted) workWith(name string, promotion int, suffix string) {
	p.t.Helper()
	id := p.id(name)
	harness.Eventually(p.t, 3*time.Minute, fmt.Sprintf("every user has a row of %s, promotion %d", name, promotion), func() error {
		got := p.engine.Rows(p.t, fmt.Sprintf(`SELECT count(), countIf(startsWith(model_version, '%s/') AND endsWith(model_version, '%s')
			AND bitAnd(bitShiftRight(row_version, 1), 524287) >= %d), groupUniqArray(model_version) FROM %s.profiles_latest`, id, suffix, promotion, p.database()))
		if want := fmt.Sprint(silentUsers + activeUsers); len(got) != 1 || got[0][0] != want || got[0][1] != want {
			return fmt.Errorf("users, of them with it, versions: %v; bundle %s", got, id)
		}
		return nil
	})
}

// silent are all scores of the users without new events, floats by their bits.
func (p *promoted) silent() (out [][]string) {
	p.t.Helper()
	rows := p.engine.Rows(p.t, `SELECT user_id, as_of, digest, reinterpretAsUInt32(churn_probability), churn_band, reinterpretAsUInt32(value_expected), value_band,
		arrayMap(x -> reinterpretAsUInt32(x), embedding), arrayMap(x -> reinterpretAsUInt32(x), mapValues(interests)), mapKeys(interests),
		arrayMap(x -> (x.1, reinterpretAsUInt32(x.2)), reasons), sentiment, model_version
		FROM `+p.database()+`.profiles_latest WHERE startsWith(user_id, 'silent') ORDER BY user_id`)
	if len(rows) != silentUsers {
		p.t.Fatalf("%d silent users, want %d", len(rows), silentUsers)
	}
	return rows
}

func get(admin, path string) (string, error) {
	res, err := http.Get("http://" + admin + path)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}
