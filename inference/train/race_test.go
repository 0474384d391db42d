package train

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"profilestream/inference/heads"
)

// flat is a problem of four folds whose labels are all 0.
func flat() *problem {
	p := &problem{x: heads.NewMatrix(40, 1), y: make([]float64, 40), fold: make([]int, 40), loss: heads.Squared}
	for i := range p.fold {
		p.fold[i] = i % 4
	}
	p.prepare()
	return p
}

// TestRaceFindsTheBestSetting: a setting is the score of every row, so that the
// best is the one nearest 0, and the first fold already tells.
func TestRaceFindsTheBestSetting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		budget           budget
		best, runs, told int
	}{
		"few run on all folds":          {budget{trials: 3}, 2, 12, 3},
		"many are halved":               {budget{trials: 9}, 7, 9 + 3 + 2, 9},
		"one":                           {budget{trials: 1}, 0, 4, 1},
		"no more folds than can be cut": {budget{trials: 30}, 7, 30 + 10 + 2*4, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			runs, told := 0, 0
			r := &racer[int]{p: flat(), budget: c.budget, setting: func(n int) int { return n - 7 },
				fit: func(_ context.Context, s int, f *fold) ([][]float32, error) {
					mu.Lock()
					defer mu.Unlock()
					runs++
					z := make([]float32, len(f.out))
					for i := range z {
						z[i] = float32(s)
					}
					return [][]float32{{9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, z}, nil
				}, step: func() { told++ }}
			won, err := r.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if won.setting+7 != c.best || runs != c.runs || told != c.told {
				t.Errorf("setting %d won after %d runs and %d steps, want %d, %d, %d", won.setting+7, runs, told, c.best, c.runs, c.told)
			}
			if step, held := r.p.best(won.scores); step != 2 || held[0] != float64(won.setting) {
				t.Errorf("step %d is best with the score %v", step, held[0])
			}
		})
	}
}

func TestRaceAgainstTimeEnds(t *testing.T) {
	t.Parallel()
	told := 0
	r := &racer[int]{p: flat(), budget: budget{time: 20 * time.Millisecond}, setting: func(n int) int { return n },
		fit: func(_ context.Context, s int, f *fold) ([][]float32, error) {
			z := make([]float32, len(f.out))
			z[0] = float32(s)
			return [][]float32{z}, nil
		}, step: func() { told++ }}
	won, err := r.run(t.Context())
	if err != nil || won.setting != 0 || told != timeSteps {
		t.Errorf("won %v after %d steps, %v", won, told, err)
	}
}

func TestRaceReportsFailures(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r := &racer[int]{p: flat(), budget: budget{trials: 2}, setting: func(n int) int { return n }, step: func() {},
		fit: func(context.Context, int, *fold) ([][]float32, error) { return nil, broken }}
	if _, err := r.run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// TestSearchRepeats: a budget of trials gives one model, and its progress ends
// where it was said to.
func TestSearchRepeats(t *testing.T) {
	t.Parallel()
	fit := func() []byte {
		d := dataset(160, 1)
		s := opened(t, &d)
		o := Options{Seed: 2, Folds: 3, Epochs: 3, Rounds: 12, SearchTrials: 5, horizon: d.Horizon}
		if err := o.setDefaults(); err != nil {
			t.Fatal(err)
		}
		rows := make([]int, s.n)
		for i := range rows {
			rows[i] = i
		}
		steps := 0
		m, err := s.fit(t.Context(), rows, &o, func() { steps++ })
		if err != nil {
			t.Fatal(err)
		}
		if want := fitSteps(&o); steps != want {
			t.Errorf("%d steps, announced were %d", steps, want)
		}
		m.Interests = heads.Interests{HalfLifeDays: 1}
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(fit(), fit()) {
		t.Error("one seed found two models")
	}
}

func TestSettingsStayInBounds(t *testing.T) {
	t.Parallel()
	o := Options{Seed: 5}
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	sgd := 0
	for n := range 200 {
		b, m := o.boost(n), o.mlp(n)
		if b != o.boost(n) || m != o.mlp(n) {
			t.Fatalf("setting %d is drawn in two ways", n)
		}
		if b.Depth < 2 || b.Depth > 5 || b.Rate <= 0 || b.Rate > .11 || b.RowShare > 1 || b.ColShare > 1 || b.ColShare <= 0 {
			t.Errorf("setting %d of boosting: %+v", n, b)
		}
		if m.Hidden < 8 || m.Hidden > 32 || m.Dropout < 0 || m.Dropout > .5 || m.Rate*m.WeightDecay > .01 {
			t.Errorf("setting %d of MLPs: %+v", n, m)
		}
		if m.SGD {
			sgd++
		}
	}
	if sgd < 20 || sgd > 90 {
		t.Errorf("%d of 200 settings use SGD", sgd)
	}
}
