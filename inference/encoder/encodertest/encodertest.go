// Package encodertest gives tests an imported encoder and recorded reference vectors.
package encodertest

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"profilestream/inference/encoder"
	"profilestream/inference/onnx"
)

// modelFolder holds the encoder's original weights, under the cache folder.
const modelFolder = "model/all-minilm-l6-v2"

var imported struct {
	sync.Once
	dir string
	err error
}

// Main runs the tests of a package and removes what Dir made.
func Main(m *testing.M) int {
	code := m.Run()
	if imported.dir != "" {
		_ = os.RemoveAll(imported.dir)
	}
	return code
}

// Source is the Hugging Face folder of the weights. A machine without it fails the
// test: make setup provides it, and a silent skip would test nothing.
func Source(tb testing.TB) string {
	tb.Helper()
	cache, err := encoder.CacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	dir := filepath.Join(cache, modelFolder)
	if _, err := os.Stat(filepath.Join(dir, "model.safetensors")); err != nil {
		tb.Fatalf("encoder weights are missing, run make setup: %v", err)
	}
	return dir
}

// Dir is a folder with the imported encoder, made once a process.
func Dir(tb testing.TB) string {
	tb.Helper()
	source := Source(tb)
	imported.Do(func() {
		if imported.dir, imported.err = os.MkdirTemp("", "encodertest"); imported.err == nil {
			_, imported.err = onnx.Import(source, imported.dir)
		}
	})
	if imported.err != nil {
		tb.Fatal(imported.err)
	}
	return imported.dir
}

// Open opens an encoder on Dir with the given runtime, closed when tb ends.
func Open(tb testing.TB, name, precision string, threads int) encoder.Encoder {
	tb.Helper()
	e, err := encoder.Open(encoder.Config{Dir: Dir(tb), Runtime: name, Precision: precision, Threads: threads})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// Row is one text with the ids and the vector that testdata/reference.py recorded.
type Row struct {
	Text   string    `json:"text"`
	IDs    []int32   `json:"ids"`
	Vector []float32 `json:"-"`
}

// Reference reads the recorded rows.
func Reference(tb testing.TB) []Row {
	tb.Helper()
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "..", "..", "testdata")
	var rows []Row
	if err := json.Unmarshal(unzip(tb, filepath.Join(dir, "reference.json.gz")), &rows); err != nil {
		tb.Fatal(err)
	}
	b := unzip(tb, filepath.Join(dir, "reference.f32.gz"))
	dim := len(b) / 4 / len(rows)
	if len(rows) < 200 || len(b) != 4*dim*len(rows) {
		tb.Fatalf("reference has %d rows and %d bytes of vectors", len(rows), len(b))
	}
	for i := range rows {
		rows[i].Vector = make([]float32, dim)
		for j := range dim {
			rows[i].Vector[j] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*(i*dim+j):]))
		}
	}
	return rows
}

func unzip(tb testing.TB, path string) []byte {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
