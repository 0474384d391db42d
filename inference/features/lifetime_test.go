package features_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"profilestream/inference/features"
	"profilestream/inference/internal/fixture"
)

// at is the positions of the lifetime inputs by name.
func at(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for j, in := range features.Inputs {
		if in.Feature == features.LifetimeFeature {
			out[strings.TrimPrefix(in.Name, "lifetime.")] = j
		}
	}
	return out
}

// TestLifetimeInputsFollowTheModels compares the inputs with the models' own
// expectations, and wants none where a customer never bought.
func TestLifetimeInputsFollowTheModels(t *testing.T) {
	t.Parallel()
	const n = 300
	table := bound(t, fixture.New(n, 1, 4).Rows)
	s := fit(t, table, n)
	if s.Lifetime == nil || s.Lifetime.Paying == nil {
		t.Fatal("the fixture's customers could not be fitted")
	}
	l, where, raw := s.Lifetime, at(t), make([]float64, len(features.Inputs))
	never := 0
	for i := range n {
		table.Raw(l, i, raw)
		h, money, ok := table.History(i)
		if !ok {
			never++
			for name, j := range where {
				if !math.IsNaN(raw[j]) {
					t.Fatalf("row %d never bought and has %s %v", i, name, raw[j])
				}
			}
			continue
		}
		p := 1 / (1 + math.Exp(-raw[where["silent"]]))
		if want := l.Buying.Silent(h, l.Horizon); math.Abs(p-want) > 2e-4 {
			t.Fatalf("row %d is silent with %v, want %v", i, p, want)
		}
		bought := l.Buying.Expected(h, l.Horizon)
		if got, want := raw[where["spend"]], math.Log1p(bought*l.Paying.Amount(money)); math.Abs(got-want) > 1e-9 {
			t.Fatalf("row %d is expected to spend %v, want %v", i, got, want)
		}
	}
	if never == 0 {
		t.Error("nobody in the fixture never bought")
	}
}

// TestNoModelGivesTheMean: where no model can be fitted the inputs say nothing.
func TestNoModelGivesTheMean(t *testing.T) {
	t.Parallel()
	table := bound(t, fixture.New(20, 1, 4).Rows)
	tables := []*features.Table{table}
	life, err := features.FitLifetime(context.Background(), tables, [][]int{nil}, time.Hour)
	if err != nil || life != nil {
		t.Fatalf("no rows gave %v, %v", life, err)
	}
	s := features.Fit(tables, [][]int{rows(20)}, nil)
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	d := len(features.Inputs)
	x := make([]float32, 20*d)
	if err := table.Fill(s, 0, 20, x, d); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		for name, j := range at(t) {
			if x[i*d+j] != 0 {
				t.Errorf("row %d has %s %v", i, name, x[i*d+j])
			}
		}
	}
}

func TestUnusableLifetimeIsRefused(t *testing.T) {
	t.Parallel()
	s := fit(t, bound(t, fixture.New(200, 1, 4).Rows), 200)
	s.Lifetime.Buying.Alpha = math.NaN()
	if err := s.Validate(); err == nil {
		t.Error("a model without a rate was accepted")
	}
	s.Lifetime.Buying = nil
	if err := s.Validate(); err == nil {
		t.Error("a lifetime without a model was accepted")
	}
}
