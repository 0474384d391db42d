package score_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/inference/bundle"
	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/inference/internal/fixture"
	"profilestream/inference/score"
	"profilestream/inference/train"
	"profilestream/schemas"
)

// trained writes one small bundle for all tests of the package.
var trained = sync.OnceValues(func() (*bundle.Bundle, error) {
	dir, err := os.MkdirTemp("", "bundle")
	if err != nil {
		return nil, err
	}
	s := fixture.New(400, 1, 5)
	d := train.Dataset{Rows: []arrow.Record{s.Rows}, Churn: s.Churn, Spend: s.Spend, Category: s.Category, Returns: []train.Return{{Days: 90, Came: came(s.Churn)}}}
	for _, t := range []string{"lovely", "lovely quality", "great", "nice", "good"} {
		d.Feedback = append(d.Feedback, train.Labelled{Text: t, Positive: true})
	}
	for _, t := range []string{"broken", "arrived broken", "bad", "awful", "late"} {
		d.Feedback = append(d.Feedback, train.Labelled{Text: t})
	}
	for c, n := range fixture.Names {
		d.Catalogue = append(d.Catalogue, train.Category{Name: n, Products: []string{fixture.Product(c, 0), fixture.Product(c, 1)}})
	}
	r, err := train.Train(context.Background(), d, train.Options{Seed: 1, Texts: &fixture.Texts{}, Embedder: &fixture.Embedder{}, Folds: 2, TestFolds: 2, Epochs: 3, Rounds: 25, Trials: 1, Hidden: 8})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "x")
	if err := os.WriteFile(file, []byte("graph"), 0o600); err != nil {
		return nil, err
	}
	return bundle.Write(filepath.Join(dir, "b"), bundle.Contents{Heads: r.Model, Evaluation: r.JSON,
		Files: map[string]string{bundle.EncoderFile: file, bundle.TokenizerFile: file}})
})

func came(churn []bool) []bool {
	out := make([]bool, len(churn))
	for i, c := range churn {
		out[i] = !c
	}
	return out
}

func TestMain(m *testing.M) {
	code := m.Run()
	if b, err := trained(); err == nil {
		_ = os.RemoveAll(filepath.Dir(b.Dir))
	}
	os.Exit(code)
}

func scorer(tb testing.TB, e score.Embedder) *score.Scorer {
	tb.Helper()
	b, err := trained()
	if err != nil {
		tb.Fatal(err)
	}
	s, err := score.New(b, e, score.Config{Texts: func() score.Texts { return &fixture.Texts{} }, Now: func() time.Time { return time.UnixMilli(fixture.Start) }})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func mustScore(tb testing.TB, s *score.Scorer, rec arrow.Record) arrow.Record {
	tb.Helper()
	out, err := s.Score(context.Background(), rec)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestScoreFillsEveryColumn(t *testing.T) {
	t.Parallel()
	shop := fixture.New(200, 1, 9)
	s := scorer(t, &fixture.Embedder{})
	out := mustScore(t, s, shop.Rows)
	if !out.Schema().Equal(schemas.ScoredRows) || out.NumRows() != shop.Rows.NumRows() {
		t.Fatalf("got %d rows of %v", out.NumRows(), out.Schema())
	}
	for c := range schemas.ColEmbedding {
		if out.Column(c).Data() != shop.Rows.Column(c).Data() {
			t.Errorf("column %s was copied", schemas.ScoredRows.Field(c).Name)
		}
	}
	p := out.Column(schemas.ColChurn).(*array.Float32)
	v := out.Column(schemas.ColValue).(*array.Float32)
	mood := out.Column(schemas.ColSentiment).(*array.Float32)
	emb := out.Column(schemas.ColEmbedding).(*array.FixedSizeList)
	interests := out.Column(schemas.ColInterests).(*array.Map)
	reasons := out.Column(schemas.ColReasons).(*array.List)
	back := shop.Rows.Column(schemas.ColFeedbackText)
	var mean, sq float64
	for i := range int(out.NumRows()) {
		x := float64(p.Value(i))
		mean, sq = mean+x/200, sq+x*x/200
		if x <= 0 || x >= 1 || v.Value(i) < 0 || emb.IsNull(i) {
			t.Fatalf("row %d: churn %v, value %v, embedding null %v", i, x, v.Value(i), emb.IsNull(i))
		}
		if mood.IsNull(i) != back.IsNull(i) {
			t.Fatalf("row %d: sentiment null %v, feedback null %v", i, mood.IsNull(i), back.IsNull(i))
		}
		if back.IsValid(i) && (mood.Value(i) > 0) != (back.ValueStr(i) == "lovely quality") {
			t.Errorf("row %d: %q has the mood %v", i, back.ValueStr(i), mood.Value(i))
		}
		checkInterests(t, interests, i)
		if lo, hi := reasons.ValueOffsets(i); hi-lo < 1 || hi-lo > 5 {
			t.Fatalf("row %d has %d reasons", i, hi-lo)
		}
	}
	if sd := math.Sqrt(sq - mean*mean); sd < .05 {
		t.Errorf("churn probabilities have a standard deviation of %v", sd)
	}
	want := s.Bundle().ID() + "/words/1"
	if got := out.Column(schemas.ColModelVersion).ValueStr(0); got != want {
		t.Errorf("model_version %q, want %q", got, want)
	}
}

func checkInterests(t *testing.T, m *array.Map, i int) {
	t.Helper()
	lo, hi := m.ValueOffsets(i)
	if lo == hi {
		return
	}
	var sum float32
	for k := lo; k < hi; k++ {
		sum += m.Items().(*array.Float32).Value(int(k))
	}
	if hi-lo > heads.MaxInterests || math.Abs(float64(sum)-1) > 1e-5 {
		t.Fatalf("row %d: %d interests sum to %v", i, hi-lo, sum)
	}
}

// TestInterestsFollowTheHead scores with and without the head for the next
// category: both give a category the user dealt with, and differ.
func TestInterestsFollowTheHead(t *testing.T) {
	t.Parallel()
	b, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	if b.Heads.Next == nil {
		t.Fatal("the bundle has no head for the next category: nothing here tests it")
	}
	plain, bare := *b, *b.Heads
	bare.Next, plain.Heads = nil, &bare
	rule, err := score.New(&plain, &fixture.Embedder{}, score.Config{Texts: func() score.Texts { return &fixture.Texts{} }})
	if err != nil {
		t.Fatal(err)
	}
	shop := fixture.New(200, 1, 9)
	entries := shop.Rows.Column(schemas.ColRecent).(*array.List)
	e := &fixture.Embedder{}
	with := mustScore(t, scorer(t, e), shop.Rows).Column(schemas.ColInterests).(*array.Map)
	read := e.Texts
	without := mustScore(t, rule, shop.Rows).Column(schemas.ColInterests).(*array.Map)
	for i := range 200 {
		lo, hi := entries.ValueOffsets(i)
		for name, m := range map[string]*array.Map{"with": with, "without": without} {
			checkInterests(t, m, i)
			if from, to := m.ValueOffsets(i); (hi > lo) != (to > from) {
				t.Fatalf("row %d, %s the head: %d entries give %d interests", i, name, hi-lo, to-from)
			}
		}
	}
	if array.Equal(with, without) {
		t.Error("the head changes nothing")
	}
	if most := 200 + 2; read > most { // windows and two feedbacks
		t.Errorf("%d texts were read, at most %d: entries of listed categories need no encoder", read, most)
	}
}

// TestReturnsFallWithChurn compares the chance of a purchase within the horizon
// with the chance of none, and rows alone with rows together.
func TestReturnsFallWithChurn(t *testing.T) {
	t.Parallel()
	shop := fixture.New(200, 1, 9)
	s := scorer(t, &fixture.Embedder{})
	churn := mustScore(t, s, shop.Rows).Column(schemas.ColChurn).(*array.Float32)
	got, err := s.Returns(context.Background(), shop.Rows)
	if err != nil || len(got) != 1 || len(got[0]) != 200 {
		t.Fatalf("%d spans, %v", len(got), err)
	}
	var xy, x, y float64
	for i, p := range got[0] {
		if !(p > 0 && p < 1) {
			t.Fatalf("row %d: %v", i, p)
		}
		c := float64(churn.Value(i))
		xy, x, y = xy+p*c/200, x+p/200, y+c/200
	}
	if xy-x*y >= 0 {
		t.Error("the chance of a purchase does not fall with churn")
	}
	for _, i := range []int64{0, 63, 199} {
		one := shop.Rows.NewSlice(i, i+1)
		alone, err := s.Returns(context.Background(), one)
		one.Release()
		if err != nil || alone[0][0] != got[0][i] {
			t.Errorf("row %d alone: %v, together %v, %v", i, alone, got[0][i], err)
		}
	}
	if _, err := scorer(t, nil).Returns(context.Background(), shop.Rows); err == nil {
		t.Error("returns were told without an encoder")
	}
}

// TestScoreIsIndependentOfTheBatch scores rows alone, in odd slices, in a second
// call and together, and wants the same bits.
func TestScoreIsIndependentOfTheBatch(t *testing.T) {
	t.Parallel()
	shop := fixture.New(301, 1, 9)
	whole := mustScore(t, scorer(t, &fixture.Embedder{}), shop.Rows)
	fresh := scorer(t, &fixture.Embedder{})
	for _, size := range []int64{1, 7, 129} {
		for lo := int64(0); lo < 301; lo += size {
			hi := min(lo+size, 301)
			part := mustScore(t, fresh, shop.Rows.NewSlice(lo, hi))
			if want := whole.NewSlice(lo, hi); !array.RecordEqual(part, want) {
				t.Fatalf("rows %d to %d differ in a batch of %d", lo, hi, size)
			}
		}
	}
}

// TestReasonsAddUp recomputes all effects and wants them to sum to the
// calibrated log-odds.
func TestReasonsAddUp(t *testing.T) {
	t.Parallel()
	b, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	shop := fixture.New(100, 1, 9)
	set := &b.Heads.Numeric
	var table features.Table
	if err := table.Bind(shop.Rows); err != nil {
		t.Fatal(err)
	}
	x, effects := heads.NewMatrix(100, set.Cols), heads.NewMatrix(100, set.Cols)
	if err := table.Fill(b.Heads.Standard, 0, 100, x.Data, x.Stride); err != nil {
		t.Fatal(err)
	}
	z := make([]float64, 100)
	explain := heads.NewExplainer(&set.Churn.Ensemble)
	explain.Explain(x, &heads.Scratch{}, z, effects)
	base := explain.Base()
	for i := range z {
		var sum float64
		for _, e := range effects.Row(i) {
			sum += float64(e)
		}
		scale := set.Churn.EffectScale(z[i], base)
		got := heads.Logit(set.Churn.Calibration.Probability(base)) + sum*scale
		want := heads.Logit(set.Churn.Calibration.Probability(z[i]))
		if math.Abs(got-want) > 1e-4 {
			t.Fatalf("row %d: effects reach log-odds %v, its score has %v", i, got, want)
		}
	}
}

func TestScoreNumericIsDegraded(t *testing.T) {
	t.Parallel()
	shop := fixture.New(50, 1, 9)
	e := &fixture.Embedder{Err: errors.New("encoder is down")}
	s := scorer(t, e)
	if _, err := s.Score(context.Background(), shop.Rows); !errors.Is(err, e.Err) {
		t.Fatalf("got %v, want the encoder's error", err)
	}
	out, err := s.ScoreNumeric(context.Background(), shop.Rows)
	if err != nil {
		t.Fatal(err)
	}
	full := mustScore(t, scorer(t, &fixture.Embedder{}), shop.Rows)
	for i := range 50 {
		if !out.Column(schemas.ColDegraded).(*array.Boolean).Value(i) || full.Column(schemas.ColDegraded).(*array.Boolean).Value(i) {
			t.Fatalf("row %d: degraded is wrong", i)
		}
		if out.Column(schemas.ColEmbedding).IsValid(i) || out.Column(schemas.ColSentiment).IsValid(i) {
			t.Fatalf("row %d has an embedding or a sentiment", i)
		}
		if p := out.Column(schemas.ColChurn).(*array.Float32).Value(i); !(p > 0 && p < 1) {
			t.Fatalf("row %d: churn %v", i, p)
		}
	}
	if got, want := out.Column(schemas.ColModelVersion).ValueStr(0), s.Bundle().ID()+"/numeric"; got != want {
		t.Errorf("model_version %q, want %q", got, want)
	}
}

func TestScoreRefusesWhatIsNotFinite(t *testing.T) {
	t.Parallel()
	shop := fixture.New(20, 1, 9)
	spoilt := map[string]func([][]float32) [][]float32{
		"NaN":   func(v [][]float32) [][]float32 { v[len(v)-1][3] = float32(math.NaN()); return v },
		"Inf":   func(v [][]float32) [][]float32 { v[0][0] = float32(math.Inf(1)); return v },
		"short": func(v [][]float32) [][]float32 { v[0] = v[0][:10]; return v },
		"few":   func(v [][]float32) [][]float32 { return v[1:] },
	}
	for name, spoil := range spoilt {
		s := scorer(t, &fixture.Embedder{Spoil: spoil})
		if out, err := s.Score(context.Background(), shop.Rows); err == nil {
			t.Errorf("%s: got %d rows, want an error", name, out.NumRows())
		}
	}
}

func TestScoreSmallAndWrongRecords(t *testing.T) {
	t.Parallel()
	shop := fixture.New(3, 1, 9)
	s := scorer(t, &fixture.Embedder{})
	if out := mustScore(t, s, shop.Rows.NewSlice(0, 0)); out.NumRows() != 0 {
		t.Errorf("an empty record gave %d rows", out.NumRows())
	}
	cut := array.NewRecord(arrow.NewSchema(schemas.WindowRows.Fields()[:5], nil), shop.Rows.Columns()[:5], 3)
	if _, err := s.Score(context.Background(), cut); err == nil {
		t.Error("a record of five columns was scored")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Score(ctx, shop.Rows); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if out := mustScore(t, s, shop.Rows); out.NumRows() != 3 {
		t.Error("a failed call spoilt the next")
	}
}
