package train

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/inference/internal/fixture"
)

func opened(t *testing.T, d *Dataset) *sample {
	t.Helper()
	s, err := open(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSplitsKeepCustomersAndTimeApart: nobody is on both sides, and where the
// cut-offs allow it the labels of training end before the test begins.
func TestSplitsKeepCustomersAndTimeApart(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	shop := fixture.New(300, 5, 2) // cut-offs 30 days apart
	s := opened(t, &Dataset{Rows: []arrow.Record{shop.Rows}, Churn: shop.Churn, Spend: shop.Spend})
	for name, c := range map[string]struct {
		horizon time.Duration
		strict  bool
	}{
		"room for the horizon": {60 * day, true},
		"no room":              {500 * day, false},
	} {
		sp := s.hold(.3, c.horizon, 1)
		if len(sp.test) < 40 || len(sp.train) < 100 {
			t.Fatalf("%s: %d train, %d test rows", name, len(sp.train), len(sp.test))
		}
		begins, tested := s.cutoff[sp.test[0]], map[string]bool{}
		for _, i := range sp.test {
			tested[s.users[i]] = true
			if s.cutoff[i] != begins {
				t.Fatalf("%s: the test has two cut-offs", name)
			}
		}
		for _, i := range sp.train {
			ends := s.cutoff[i]
			if c.strict {
				ends += c.horizon.Milliseconds()
			}
			if tested[s.users[i]] || s.cutoff[i] >= begins || ends > begins {
				t.Fatalf("%s: row %d of training reaches into the test", name, i)
			}
		}
		if got := strings.Contains(sp.words, "labels of training end"); got != c.strict {
			t.Errorf("%s: the report says %q", name, sp.words)
		}
		fold, of := s.folds(sp.train, 4, 1), map[string]int{}
		for k, i := range sp.train {
			if f, ok := of[s.users[i]]; ok && f != fold[k] {
				t.Fatalf("%s: a customer is in two folds", name)
			}
			of[s.users[i]] = fold[k]
		}
	}
}

// TestManyRecordsAreOneSample: rows keep their labels and inputs however they
// are cut into records.
func TestManyRecordsAreOneSample(t *testing.T) {
	t.Parallel()
	shop := fixture.New(100, 1, 2)
	whole := opened(t, &Dataset{Rows: []arrow.Record{shop.Rows}, Churn: shop.Churn, Spend: shop.Spend})
	parts := opened(t, &Dataset{Rows: []arrow.Record{shop.Rows.NewSlice(0, 0), shop.Rows.NewSlice(0, 33), shop.Rows.NewSlice(33, 33), shop.Rows.NewSlice(33, 100)}, Churn: shop.Churn, Spend: shop.Spend})
	if whole.n != parts.n {
		t.Fatalf("%d and %d rows", whole.n, parts.n)
	}
	for i := range whole.n {
		a, b := whole.raw(i), parts.raw(i)
		for j := range a {
			if a[j] != b[j] && !(math.IsNaN(a[j]) && math.IsNaN(b[j])) {
				t.Fatalf("input %d of row %d is %v and %v", j, i, a[j], b[j])
			}
		}
	}
}

func TestUnusableDataAreRefused(t *testing.T) {
	t.Parallel()
	good := func() Dataset {
		s := fixture.New(120, 1, 2)
		return Dataset{Rows: []arrow.Record{s.Rows}, Churn: s.Churn, Spend: s.Spend}
	}
	for want, spoil := range map[string]func(d *Dataset){
		"churn and":      func(d *Dataset) { d.Churn = d.Churn[1:] },
		"not finite":     func(d *Dataset) { d.Spend[3] = math.NaN() },
		"too few of one": func(d *Dataset) { clear(d.Churn) },
		"too few to":     func(d *Dataset) { clear(d.Spend) },
		"no rows are":    func(d *Dataset) { *d = Dataset{} },
		"rows to learn": func(d *Dataset) {
			d.Rows[0] = d.Rows[0].NewSlice(0, 30)
			d.Churn = d.Churn[:30]
			d.Spend = d.Spend[:30]
		},
	} {
		d := good()
		spoil(&d)
		if _, err := Train(context.Background(), d, Options{Folds: 2, Epochs: 1, Rounds: 2, Trials: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
}

func TestTrainingStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	d := dataset(200, 1)
	o := quick()
	o.Progress = func(stage string, done, _ int) {
		if strings.HasPrefix(stage, "fitting") && done == 2 {
			cancel()
		}
	}
	if _, err := Train(ctx, d, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestLabelsDoNotReachTheInputs: with other labels the same rows give the same
// inputs, and the inputs' statistics do not see the labels.
func TestLabelsDoNotReachTheInputs(t *testing.T) {
	t.Parallel()
	shop := fixture.New(100, 1, 2)
	other := make([]bool, len(shop.Churn))
	for i, c := range shop.Churn {
		other[i] = !c
	}
	a := opened(t, &Dataset{Rows: []arrow.Record{shop.Rows}, Churn: shop.Churn, Spend: shop.Spend})
	b := opened(t, &Dataset{Rows: []arrow.Record{shop.Rows}, Churn: other, Spend: shop.Spend})
	o := quick()
	o.Embedder = nil
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	rows := make([]int, 100)
	for i := range rows {
		rows[i] = i
	}
	ma, errA := a.fit(context.Background(), rows, &o, func() {})
	mb, errB := b.fit(context.Background(), rows, &o, func() {})
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	xa, errA := a.inputs(ma.Model, rows)
	xb, errB := b.inputs(mb.Model, rows)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	for i, v := range xa.Data {
		if v != xb.Data[i] {
			t.Fatalf("element %d is %v and %v", i, v, xb.Data[i])
		}
	}
}
