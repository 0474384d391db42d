package score_test

import (
	"context"
	"errors"
	"testing"

	"profilestream/inference/heads"
	"profilestream/inference/internal/fixture"
)

// TestIntervalsNest: the wider coverage holds the narrower, row by row, in any
// batch.
func TestIntervalsNest(t *testing.T) {
	t.Parallel()
	shop := fixture.New(150, 1, 9)
	s := scorer(t, &fixture.Embedder{})
	narrow, err := s.Intervals(t.Context(), shop.Rows, heads.Coverages[0])
	if err != nil {
		t.Fatal(err)
	}
	wide, err := s.Intervals(t.Context(), shop.Rows, heads.Coverages[1])
	if err != nil {
		t.Fatal(err)
	}
	if len(narrow) != 150 || len(wide) != 150 {
		t.Fatalf("%d and %d intervals of 150 rows", len(narrow), len(wide))
	}
	open := 0
	for i, n := range narrow {
		if n.Low < wide[i].Low || n.High > wide[i].High || n.Low < 0 {
			t.Fatalf("row %d: %v is not inside %v", i, n, wide[i])
		}
		if n.High > n.Low {
			open++
		}
	}
	if open < 75 {
		t.Errorf("only %d of 150 intervals have a width", open)
	}
	one, err := s.Intervals(t.Context(), shop.Rows.NewSlice(140, 141), heads.Coverages[0])
	if err != nil || one[0] != narrow[140] {
		t.Errorf("row 140 alone has %v, %v, among others %v", one, err, narrow[140])
	}
	if got, err := s.Intervals(t.Context(), shop.Rows, .5); err != nil || got != nil {
		t.Errorf("an interval that was not fitted: %v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := scorer(t, &fixture.Embedder{}).Intervals(ctx, shop.Rows, .8); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
