package stage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"profilestream/cmd/internal/config"
	"profilestream/inference/bundle"
	"profilestream/inference/embed"
	"profilestream/inference/encoder"
	"profilestream/inference/onnx"
	"profilestream/inference/score"
	"profilestream/inference/token"
)

// Encoder is an opened encoder with its tokenizer and cache. Models whose
// encoder files are equal share one.
type Encoder struct {
	*embed.Embedder
	tokens *token.Tokenizer
	native encoder.Encoder
	users  atomic.Int32
}

// OpenEncoder opens the encoder's files in dir, a bundle or an imported model,
// and runs it as the configuration says. id names the weights.
func OpenEncoder(m config.Model, dir, id string) (*Encoder, error) {
	tok, err := token.Open(dir)
	if err != nil {
		return nil, err
	}
	enc, err := encoder.Open(encoder.Config{Dir: dir, Device: m.Device, Runtime: m.Runtime, Precision: m.Precision, Threads: m.Threads})
	if err != nil {
		return nil, errors.Join(err, tok.Close())
	}
	e, err := embed.New(embed.Config{
		Model: id, BatchTokens: m.BatchTokens, CacheMiB: m.CacheMiB, CacheDir: m.CacheDir, DiskMiB: m.CacheDiskMiB, Timeout: m.Timeout,
		Warn: func(err error) { slog.Warn("embeddings on disk", "error", err) },
	}, tok, faulty{enc})
	if err != nil {
		return nil, errors.Join(err, tok.Close(), enc.Close())
	}
	out := &Encoder{Embedder: e, tokens: tok, native: enc}
	out.users.Store(1)
	return out, nil
}

// share is the encoder for one more user, who closes it too. The caller is a user
// itself, so it cannot be closed meanwhile.
func (e *Encoder) share() *Encoder {
	e.users.Add(1)
	return e
}

// EncoderID is the hash of the weights in dir, by which cached embeddings are told
// from those of other weights; a bundle's manifest holds the same.
func EncoderID(dir string) (string, error) {
	f, err := os.Open(filepath.Join(dir, onnx.GraphFile))
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Close frees the runtime and the tokenizer once its last user has closed it.
func (e *Encoder) Close() error {
	if e.users.Add(-1) > 0 {
		return nil
	}
	return errors.Join(e.Embedder.Close(), e.native.Close(), e.tokens.Close())
}

// Scorer is a bundle at work.
type Scorer struct {
	*score.Scorer
	Encoder *Encoder
}

// OpenScorer verifies the bundle of the configuration and opens its encoder.
func OpenScorer(m config.Model) (*Scorer, error) {
	b, err := LoadBundle(m.Dir)
	if err != nil {
		return nil, err
	}
	return NewScorer(m, b, nil)
}

// LoadBundle verifies the bundle of model.dir.
func LoadBundle(dir string) (*bundle.Bundle, error) {
	b, err := bundle.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &config.Error{Key: "model.dir", Reason: fmt.Sprintf("%s holds no bundle: %v; profilectl train makes one", dir, err)}
	}
	if err != nil {
		return nil, fmt.Errorf("model.dir: %w", err)
	}
	return b, nil
}

// NewScorer puts a verified bundle to work, with the encoder of old where theirs
// are the same: then only the heads are new, and the cache is warm.
func NewScorer(m config.Model, b *bundle.Bundle, old *Scorer) (*Scorer, error) {
	var e *Encoder
	if old != nil && sameEncoder(old.Bundle(), b) {
		e = old.Encoder.share()
	} else {
		var err error
		if e, err = OpenEncoder(m, b.Dir, b.Manifest.Files[bundle.EncoderFile].SHA256); err != nil {
			return nil, err
		}
	}
	s, err := score.New(b, e, score.Config{})
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return &Scorer{Scorer: s, Encoder: e}, nil
}

// sameEncoder says whether two bundles hold the same encoder and tokenizer.
func sameEncoder(a, b *bundle.Bundle) bool {
	for name := range EncoderFiles("") {
		if f, ok := a.Manifest.Files[name]; !ok || f != b.Manifest.Files[name] {
			return false
		}
	}
	return true
}

// Close frees the encoder.
func (s *Scorer) Close() error { return s.Encoder.Close() }

// EncoderFiles maps the names of a bundle's encoder files to their paths in dir.
func EncoderFiles(dir string) map[string]string {
	files := map[string]string{}
	for _, name := range []string{onnx.GraphFile, onnx.TokenizerFile, onnx.FactsFile} {
		files[name] = filepath.Join(dir, name)
	}
	return files
}

// ImportEncoder makes dir an imported encoder, from the weights that set-up has
// fetched, unless it is one already.
func ImportEncoder(dir string) error {
	if _, err := onnx.ReadFacts(dir); err == nil {
		return nil
	}
	weights, err := Weights()
	if err != nil {
		return fmt.Errorf("no encoder in %s: %w", dir, err)
	}
	_, err = onnx.Import(weights, dir)
	return err
}

// Weights is the Hugging Face folder that set-up has fetched.
func Weights() (string, error) {
	cache, err := encoder.CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "model", "all-minilm-l6-v2")
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("no weights in %s: run make setup, or profilectl model import DIR", dir)
	}
	return dir, nil
}

// registerEncoder exports the totals of the encoder at work; another encoder
// begins at zero.
func registerEncoder(r prometheus.Registerer, stats func() embed.Stats) {
	stat := func(name, help string, counter bool, f func(embed.Stats) float64) {
		value := func() float64 { return f(stats()) }
		if counter {
			r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "profilestream_scorer_" + name, Help: help}, value))
			return
		}
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "profilestream_scorer_" + name, Help: help}, value))
	}
	stat("texts_total", "Texts asked for.", true, func(s embed.Stats) float64 { return float64(s.Texts) })
	stat("cache_hits_total", "Texts found in the embedding cache.", true, func(s embed.Stats) float64 { return float64(s.Hits) })
	stat("cache_misses_total", "Texts that had to be encoded.", true, func(s embed.Stats) float64 { return float64(s.Misses) })
	stat("cache_bytes", "Memory of the embedding cache.", false, func(s embed.Stats) float64 { return float64(s.CacheBytes) })
	stat("cache_disk_hits_total", "Texts found on disk (model.cache_dir).", true, func(s embed.Stats) float64 { return float64(s.DiskHits) })
	stat("cache_disk_errors_total", "Failed writes to model.cache_dir, and damaged records of it.", true, func(s embed.Stats) float64 { return float64(s.DiskErrors) })
	stat("cache_disk_bytes", "Bytes of this encoder's embeddings in model.cache_dir.", false, func(s embed.Stats) float64 { return float64(s.DiskBytes) })
	stat("encoder_batches_total", "Batches encoded.", true, func(s embed.Stats) float64 { return float64(s.Batches) })
	stat("encoder_tokens_total", "Tokens encoded, without padding.", true, func(s embed.Stats) float64 { return float64(s.Tokens) })
	stat("encoder_seconds_total", "Time spent encoding, over all sessions.", true, func(s embed.Stats) float64 { return s.EncodeTime.Seconds() })
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "profilestream_breaker_state", Help: "State of a circuit breaker: 0 closed, 1 half open, 2 open.",
		ConstLabels: prometheus.Labels{"name": "encoder"},
	}, func() float64 {
		return map[string]float64{"closed": 0, "half-open": 1, "open": 2}[stats().BreakerState]
	}))
}
