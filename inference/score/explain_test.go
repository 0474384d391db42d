package score_test

import (
	"context"
	"math"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/inference/heads"
	"profilestream/inference/internal/fixture"
	"profilestream/schemas"
)

// TestExplainAgreesWithScore: base and effects reach the probability that Score
// gives, and the largest effects are its reasons.
func TestExplainAgreesWithScore(t *testing.T) {
	t.Parallel()
	shop := fixture.New(40, 1, 9)
	s := scorer(t, &fixture.Embedder{})
	out := mustScore(t, s, shop.Rows)
	churn := out.Column(schemas.ColChurn).(*array.Float32)
	reasons := out.Column(schemas.ColReasons).(*array.List)
	entries := reasons.ListValues().(*array.Struct)
	names, sizes := entries.Field(0).(*array.String), entries.Field(1).(*array.Float32)
	for i := range 40 {
		x, err := s.Explain(context.Background(), shop.Rows, i)
		if err != nil {
			t.Fatal(err)
		}
		sum := x.Base
		for _, e := range x.Effects {
			sum += e.Effect
		}
		if math.Abs(sum-x.LogOdds) > 1e-4 || math.Abs(heads.Sigmoid(x.LogOdds)-float64(churn.Value(i))) > 1e-6 {
			t.Fatalf("row %d: effects reach %v, log-odds %v, churn %v", i, sum, x.LogOdds, churn.Value(i))
		}
		lo, hi := reasons.ValueOffsets(i)
		for k := lo; k < hi; k++ {
			e := x.Effects[k-lo]
			if names.Value(int(k)) != e.Feature || math.Abs(float64(sizes.Value(int(k)))-e.Effect) > 1e-6 {
				t.Fatalf("row %d: reason %d is %s %v, explained %v", i, k-lo, names.Value(int(k)), sizes.Value(int(k)), e)
			}
		}
		if x.Text == "" || len(x.Methods) == 0 {
			t.Fatalf("row %d: %+v", i, x)
		}
	}
	if _, err := s.Explain(context.Background(), shop.Rows, 40); err == nil {
		t.Error("a row beyond the last is explained")
	}
}
