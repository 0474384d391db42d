package features_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"profilestream/inference/features"
	"profilestream/inference/internal/fixture"
	"profilestream/schemas"
)

func bound(t testing.TB, rec arrow.Record) *features.Table {
	t.Helper()
	table := new(features.Table)
	if err := table.Bind(rec); err != nil {
		t.Fatal(err)
	}
	return table
}

func rows(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// fit fits lifetime models and statistics to the first n rows.
func fit(t testing.TB, table *features.Table, n int) *features.Standard {
	t.Helper()
	tables, all := []*features.Table{table}, [][]int{rows(n)}
	life, err := features.FitLifetime(context.Background(), tables, all, 90*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return features.Fit(tables, all, life)
}

func TestInputsDeriveFromTheFeatures(t *testing.T) {
	t.Parallel()
	seen, used := map[string]bool{}, map[string]bool{}
	for _, in := range features.Inputs {
		if seen[in.Name] {
			t.Errorf("input %s is there twice", in.Name)
		}
		seen[in.Name], used[in.Feature] = true, true
	}
	for _, f := range schemas.Features {
		want := (f.Window < 0 || f.Window >= schemas.Window7d) && f.Name != "last_seen" && f.Name != "last_order_at"
		if used[f.Name] != want {
			t.Errorf("feature %s is an input: %v, want %v", f.Name, used[f.Name], want)
		}
	}
}

func TestStandardisedInputsAreCentred(t *testing.T) {
	t.Parallel()
	const n = 600
	table := bound(t, fixture.New(n, 1, 3).Rows)
	s := fit(t, table, n)
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	d := len(features.Inputs)
	x, raw := make([]float32, n*d), make([]float64, d)
	if err := table.Fill(s, 0, n, x, d); err != nil {
		t.Fatal(err)
	}
	for j, in := range features.Inputs {
		var sum, sq, k float64
		for i := range n {
			v := float64(x[i*d+j])
			table.Raw(s.Lifetime, i, raw)
			if math.IsNaN(raw[j]) {
				if v != 0 {
					t.Fatalf("missing %s of row %d became %v", in.Name, i, v)
				}
				continue
			}
			sum, sq, k = sum+v, sq+v*v, k+1
		}
		if m := sum / k; math.Abs(m) > .15 || math.Abs(sq/k-1) > .5 && s.Inverse[j] > 0 {
			t.Errorf("%s has mean %v and square %v", in.Name, m, sq/k)
		}
	}
}

// TestFillDoesNotDependOnTheRange fills row by row and together.
func TestFillDoesNotDependOnTheRange(t *testing.T) {
	t.Parallel()
	const n = 50
	rec := fixture.New(n, 1, 3).Rows
	table := bound(t, rec)
	s := fit(t, table, n)
	d := len(features.Inputs)
	whole, one := make([]float32, n*d), make([]float32, d)
	if err := table.Fill(s, 0, n, whole, d); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := bound(t, rec.NewSlice(int64(i), int64(i+1))).Fill(s, 0, 1, one, d); err != nil {
			t.Fatal(err)
		}
		for j := range one {
			if one[j] != whole[i*d+j] {
				t.Fatalf("row %d, %s: %v alone, %v together", i, features.Inputs[j].Name, one[j], whole[i*d+j])
			}
		}
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	rec := fixture.New(50, 1, 3).Rows
	table := bound(t, rec)
	s := fit(t, table, 50)
	d := len(features.Inputs)
	x := make([]float32, 50*d)
	if got := testing.AllocsPerRun(20, func() {
		if table.Bind(rec) != nil || table.Fill(s, 0, 50, x, d) != nil {
			t.Error("failed")
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestNotANumberIsRefusedByName(t *testing.T) {
	t.Parallel()
	rec := fixture.New(5, 1, 3).Rows
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	b.AppendValues([]float64{1, 2, math.NaN(), 4, 5}, nil)
	cols := append([]arrow.Array(nil), rec.Columns()...)
	cols[schemas.ColFeatures+schemas.Life(schemas.MeanOrderGapDays)] = b.NewArray()
	table := bound(t, array.NewRecord(rec.Schema(), cols, 5))
	s := fit(t, table, 5)
	d := len(features.Inputs)
	err := table.Fill(s, 0, 5, make([]float32, 5*d), d)
	if err == nil || !strings.Contains(err.Error(), "mean_order_gap_days of row 2") {
		t.Errorf("got %v", err)
	}
}
