package score_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/inference/bundle"
	"profilestream/inference/embed"
	"profilestream/inference/encoder"
	"profilestream/inference/internal/fixture"
	"profilestream/inference/onnx"
	"profilestream/inference/score"
	"profilestream/inference/token"
	"profilestream/inference/train"
	"profilestream/schemas"
)

// real opens the fetched encoder from an import in dir.
func real(t *testing.T, dir string) *embed.Embedder {
	t.Helper()
	cache, err := encoder.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(cache, "model", "all-minilm-l6-v2")
	if _, err := os.Stat(weights); err != nil {
		t.Skipf("SKIPPED: no encoder weights, so scoring is not tried with a real encoder; run make setup (%v)", err)
	}
	if _, err := onnx.Import(weights, dir); err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tok.Close() })
	enc, err := encoder.Open(encoder.Config{Dir: dir, Threads: 1})
	if err != nil {
		t.Skipf("SKIPPED: no encoder runtime, so scoring is not tried with a real encoder; run make setup (%v)", err)
	}
	t.Cleanup(func() { _ = enc.Close() })
	e, err := embed.New(embed.Config{Model: "real"}, tok, enc) // without a cache
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRealEncoder trains and scores with the encoder that is shipped: rows come
// out with the same bits alone and together, and a bundle links the graph.
func TestRealEncoder(t *testing.T) {
	dir := t.TempDir()
	e := real(t, dir)
	shop := fixture.New(90, 1, 11)
	d := train.Dataset{Rows: []arrow.Record{shop.Rows}, Churn: shop.Churn, Spend: shop.Spend}
	for _, w := range []string{"lovely quality", "very happy with it", "great, thank you", "works well", "beautiful",
		"love the quality", "fast delivery, great", "really pretty and well made", "my favourite shop", "perfect gift", "excellent quality"} {
		d.Feedback = append(d.Feedback, train.Labelled{Text: w, Positive: true})
	}
	for _, w := range []string{"arrived broken", "awful service", "bad quality, returned it", "late again", "very disappointed",
		"poor quality", "slow delivery, never again", "ugly and badly made", "the worst shop", "useless", "broke after a day"} {
		d.Feedback = append(d.Feedback, train.Labelled{Text: w})
	}
	d.Catalogue = []train.Category{
		{Name: "kitchen", Products: []string{"frying pan", "tea towel"}},
		{Name: "garden", Products: []string{"watering can", "rose seeds"}},
		{Name: "toys", Products: []string{"wooden train", "teddy bear"}},
		{Name: "books", Products: []string{"crime novel", "cookery book"}},
	}
	r, err := train.Train(context.Background(), d, train.Options{Seed: 1, Embedder: e, Folds: 2, TestFolds: 2, Epochs: 2, Rounds: 10, Trials: 1, Hidden: 4})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, n := range []string{onnx.GraphFile, onnx.TokenizerFile, onnx.FactsFile} {
		files[n] = filepath.Join(dir, n)
	}
	b, err := bundle.Write(filepath.Join(dir, "bundle"), bundle.Contents{Heads: r.Model, Evaluation: r.JSON, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	linked, err1 := os.Stat(b.Path(bundle.EncoderFile))
	graph, err2 := os.Stat(filepath.Join(dir, onnx.GraphFile))
	if err1 != nil || err2 != nil || !os.SameFile(linked, graph) {
		t.Errorf("the bundle copied the encoder (%v, %v)", err1, err2)
	}
	fresh := func() *score.Scorer {
		s, err := score.New(b, e, score.Config{Now: func() time.Time { return time.UnixMilli(fixture.Start) }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	part := shop.Rows.NewSlice(0, 24)
	whole := mustScore(t, fresh(), part)
	s := fresh()
	for i := range int64(24) {
		if one := mustScore(t, s, part.NewSlice(i, i+1)); !array.RecordEqual(one, whole.NewSlice(i, i+1)) {
			t.Fatalf("row %d differs alone", i)
		}
	}
	mood := whole.Column(schemas.ColSentiment).(*array.Float32)
	back := part.Column(schemas.ColFeedbackText)
	for i := range 24 {
		if back.IsValid(i) && (mood.Value(i) > 0) != (back.ValueStr(i) == "lovely quality") {
			t.Errorf("%q has the mood %v", back.ValueStr(i), mood.Value(i))
		}
	}
}
