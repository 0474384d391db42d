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

// TestSplitsKeepCustomersAndTimeApart: everybody is tested once an origin, nobody
// is on both sides, and where the cut-offs allow it the labels of training end
// before the test begins.
func TestSplitsKeepCustomersAndTimeApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cutoffs int // 30 days apart
		horizon time.Duration
		origins []int // of the cut-offs, those that are tested
		words   string
	}{
		"room for two origins": {5, 60 * dayLength, []int{3, 4}, "labels of training end before"},
		"room for one":         {4, 90 * dayLength, []int{3}, "labels of training end before"},
		"no room":              {4, 500 * dayLength, []int{3}, "labels of training overlap it"},
		"one cut-off":          {1, 60 * dayLength, []int{0}, "too few rows of earlier"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := fixture.New(300, c.cutoffs, 2)
			s := opened(t, &Dataset{Rows: []arrow.Record{shop.Rows}, Churn: shop.Churn, Spend: shop.Spend})
			const folds = 3
			p := s.rolling(folds, c.horizon, 1)
			if !strings.Contains(p.words.Words, c.words) || len(p.words.Origins) != len(c.origins) || len(p.splits) != folds*len(c.origins) {
				t.Fatalf("%d splits, described as %+v", len(p.splits), p.words)
			}
			tested := map[int64]map[string]bool{}
			for k := range p.splits {
				checkSplit(t, s, &p.splits[k], c.horizon, strings.Contains(c.words, "end before"), c.cutoffs == 1)
				for _, i := range p.splits[k].test {
					of := tested[s.cutoff[i]]
					if of == nil {
						of = map[string]bool{}
						tested[s.cutoff[i]] = of
					}
					if of[s.users[i]] {
						t.Fatalf("%s is tested twice at one time", s.users[i])
					}
					of[s.users[i]] = true
				}
			}
			for _, at := range c.origins {
				if n := len(tested[fixture.Start+int64(at)*30*dayMillis]); n != 300 {
					t.Errorf("%d of 300 customers are tested as of cut-off %d", n, at)
				}
			}
			if len(tested) != len(c.origins) {
				t.Errorf("tested as of %d times, want %d", len(tested), len(c.origins))
			}
		})
	}
}

func checkSplit(t *testing.T, s *sample, sp *split, horizon time.Duration, apart, together bool) {
	t.Helper()
	if len(sp.test) < 60 || len(sp.train) < 150 {
		t.Fatalf("%d train, %d test rows", len(sp.train), len(sp.test))
	}
	begins, tested := s.cutoff[sp.test[0]], map[string]bool{}
	for _, i := range sp.test {
		tested[s.users[i]] = true
		if s.cutoff[i] != begins {
			t.Fatal("a split has two times of testing")
		}
	}
	for _, i := range sp.train {
		ends := s.cutoff[i]
		if apart {
			ends += horizon.Milliseconds()
		}
		if tested[s.users[i]] || !together && s.cutoff[i] >= begins || ends > begins {
			t.Fatalf("row %d of training reaches into the test", i)
		}
	}
	fold, of := s.folds(sp.train, 4, 1), map[string]int{}
	for k, i := range sp.train {
		if f, ok := of[s.users[i]]; ok && f != fold[k] {
			t.Fatal("a customer is in two folds")
		}
		of[s.users[i]] = fold[k]
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
		"groups of":      func(d *Dataset) { d.Groups = map[string][]string{"country": {"one"}} },
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
