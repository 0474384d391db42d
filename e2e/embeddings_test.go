package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/segmentio/kafka-go"

	"profilestream/e2e/harness"
	"profilestream/inference/text"
	"profilestream/schemas"
)

// profile is a row of profiles_latest: its key, and the vector stored with it.
type profile struct {
	key    rowKey
	vector []float64
}

// rowKey names a row of the windows topic: its content is unique.
type rowKey struct {
	user          string
	version, asOf int64
}

// TestEmbeddingsInClickHouse takes 50 profiles out of ClickHouse, renders their
// texts again from the rows that windowing sent, and has an independent
// implementation compute their vectors from the original weights. All profiles'
// vectors have unit length and tell users apart.
func TestEmbeddingsInClickHouse(t *testing.T) {
	r, _ := unseenShop(t)
	versions := r.engine.Rows(t, "SELECT DISTINCT model_version FROM "+r.database()+".profiles_latest")
	if len(versions) != 1 {
		t.Fatalf("model versions %v, want one", versions)
	}
	all := readProfiles(t, r)
	tellUsersApart(t, all)

	some := all[:50]
	texts := renderAgain(t, r, some)
	want := reference(t, texts)
	bf16 := strings.Contains(versions[0][0], "bf16")
	worst, similar := 0., 1.
	for i, p := range some {
		for j, v := range want[i] {
			worst = max(worst, math.Abs(p.vector[j]-v))
		}
		similar = min(similar, dot(p.vector, want[i])/math.Sqrt(dot(p.vector, p.vector)*dot(want[i], want[i])))
	}
	distinct := map[string]bool{}
	for _, s := range texts {
		distinct[s] = true
	}
	t.Logf("%s: 50 rows with %d different texts, largest difference from the reference %.2g, smallest cosine %.8f", versions[0][0], len(distinct), worst, similar)
	if len(distinct) < 25 {
		t.Errorf("50 users have only %d different texts", len(distinct))
	}
	if similar < .9999 || (!bf16 && worst > 1e-5) {
		t.Errorf("the stored vectors are not the reference's: cosine %.6f, want at least .9999; difference %.2g, in f32 at most 1e-5", similar, worst)
	}
}

// readProfiles reads all profiles in an order that has nothing to do with users.
func readProfiles(t *testing.T, r *run) []profile {
	t.Helper()
	var out []profile
	for _, f := range r.engine.Rows(t, `SELECT user_id, log_offset, toUnixTimestamp64Milli(as_of), arrayStringConcat(arrayMap(x -> toString(x), embedding), ' ')
		FROM `+r.database()+".profiles_latest ORDER BY cityHash64(user_id)") {
		p := profile{key: rowKey{f[0], number(t, f[1]), number(t, f[2])}}
		for _, s := range strings.Fields(f[3]) {
			p.vector = append(p.vector, float(t, s))
		}
		out = append(out, p)
	}
	if len(out) < 100 {
		t.Fatalf("%d profiles are too few to judge by", len(out))
	}
	return out
}

// tellUsersApart checks the length of all vectors and the mean cosine of all pairs.
func tellUsersApart(t *testing.T, all []profile) {
	t.Helper()
	sum, off := make([]float64, schemas.EmbeddingDim), 0.
	for _, p := range all {
		if len(p.vector) != schemas.EmbeddingDim {
			t.Fatalf("a vector of %d numbers, want %d", len(p.vector), schemas.EmbeddingDim)
		}
		off = max(off, math.Abs(math.Sqrt(dot(p.vector, p.vector))-1))
		for j, v := range p.vector {
			sum[j] += v
		}
	}
	// The square of the sum of n unit vectors is n and all ordered pairs' cosines.
	n := float64(len(all))
	mean := (dot(sum, sum) - n) / (n * (n - 1))
	t.Logf("%d vectors: lengths within %.2g of 1, mean pairwise cosine %.4f", len(all), off, mean)
	if !(off < 1e-3) {
		t.Errorf("a vector's length is %.2g away from 1", off)
	}
	if !(mean < .98) {
		t.Errorf("mean pairwise cosine of users is %.4f, want below .98", mean)
	}
}

// renderAgain finds the rows in the windows topic and renders their texts.
func renderAgain(t *testing.T, r *run, profiles []profile) []string {
	t.Helper()
	index := map[rowKey]int{}
	for i, p := range profiles {
		index[p.key] = i
	}
	texts, rows := make([]string, len(profiles)), text.NewRows()
	r.kafka.Read(schemas.RunTopics(r.name).Windows, func(_ int, m kafka.Message) {
		rec := windowRows(t, m.Value)
		defer rec.Release()
		if err := rows.Bind(rec); err != nil {
			t.Fatal(err)
		}
		users := rec.Column(schemas.ColUserID).(*array.String)
		versions, asOf := rec.Column(schemas.ColVersion).(*array.Int64), rec.Column(schemas.ColAsOf).(*array.Timestamp)
		for i := range int(rec.NumRows()) {
			if at, ok := index[rowKey{users.Value(i), versions.Value(i), int64(asOf.Value(i))}]; ok {
				texts[at] = strings.Clone(rows.User(i))
			}
		}
	})
	for i, s := range texts {
		if s == "" {
			t.Fatalf("row %d of ClickHouse is not in the windows topic", i)
		}
	}
	return texts
}

// windowRows decodes an Arrow message of the windows topic.
func windowRows(t *testing.T, value []byte) arrow.Record {
	t.Helper()
	rd, err := ipc.NewReader(bytes.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Release()
	if !rd.Schema().Equal(schemas.WindowRows) || !rd.Next() {
		t.Fatalf("a message of other columns than window rows, or without rows: %v", rd.Err())
	}
	rec := rd.Record()
	rec.Retain()
	return rec
}

// embedTexts has the reference compute the vectors of the texts on its standard
// input, from the folder of the original weights.
const embedTexts = `
import json, sys
import numpy, reference
model = sys.argv[1]
config = json.load(open(model + "/config.json"))
vocab = {line.rstrip("\n"): i for i, line in enumerate(open(model + "/vocab.txt", encoding="utf-8"))}
weights = {k.removeprefix("bert."): v for k, v in reference.read_weights(model + "/model.safetensors").items()}
done = {}
for text in json.load(sys.stdin):
    if text not in done:
        done[text] = reference.encode(reference.tokenize(text, vocab), weights, config).tolist()
    print(json.dumps(done[text]))
`

// reference computes vectors by inference/testdata/reference.py.
func reference(t *testing.T, texts []string) [][]float64 {
	t.Helper()
	in, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", embedTexts, filepath.Join(harness.CacheDir(t), "model", "all-minilm-l6-v2"))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1",
		"PYTHONPATH="+filepath.Join(harness.Root(t), "inference", "testdata")+string(os.PathListSeparator)+numpy(t))
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the reference: %v\n%s", err, errs.Bytes())
	}
	var vectors [][]float64
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var v []float64
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		vectors = append(vectors, v)
	}
	if len(vectors) != len(texts) {
		t.Fatalf("the reference gave %d vectors for %d texts", len(vectors), len(texts))
	}
	return vectors
}

// numpy is a folder with the pinned numpy that the reference needs and the
// product does not. It is fetched once into the cache.
func numpy(t *testing.T) string {
	t.Helper()
	pins := filepath.Join(harness.Root(t), "e2e", "testdata", "numpy.txt")
	out, err := exec.Command("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(harness.CacheDir(t), "reference-python"+strings.TrimSpace(string(out)))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	part := fmt.Sprintf("%s.part-%d", dir, os.Getpid())
	defer os.RemoveAll(part)
	if out, err := exec.Command("python3", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--require-hashes",
		"--only-binary", ":all:", "--target", part, "-r", pins).CombinedOutput(); err != nil {
		t.Fatalf("fetching numpy, which the reference needs: %v\n%s", err, out)
	}
	if err := os.Rename(part, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func dot(x, y []float64) float64 {
	sum := 0.
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

func float(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
