package explain_test

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/inference/internal/fixture"
	"profilestream/inference/train"
)

// reasoned is a set of heads on rows, with the effect of every reason.
type reasoned struct {
	ensemble *heads.Ensemble
	x        *heads.Matrix
	z        []float64
	group    []int       // reason of each input
	effects  [][]float64 // of each row and reason
}

// reason explains the rows by the heads on numbers.
func reason(t *testing.T, s *fixture.Shop, m *heads.Model) *reasoned {
	t.Helper()
	var table features.Table
	if err := table.Bind(s.Rows); err != nil {
		t.Fatal(err)
	}
	r := &reasoned{ensemble: &m.Numeric.Churn.Ensemble, x: heads.NewMatrix(table.Rows(), m.Numeric.Cols), z: make([]float64, table.Rows())}
	if err := table.Fill(m.Standard, 0, table.Rows(), r.x.Data, r.x.Stride); err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for _, in := range features.Inputs {
		if _, ok := at[in.Feature]; !ok {
			at[in.Feature] = len(at)
		}
		r.group = append(r.group, at[in.Feature])
	}
	effects := heads.NewMatrix(r.x.Rows, r.x.Cols)
	e := heads.NewExplainer(r.ensemble)
	e.Explain(r.x, &heads.Scratch{}, r.z, effects)
	for i := range r.z {
		g, sum := make([]float64, len(at)), e.Base()
		for j, v := range effects.Row(i) {
			g[r.group[j]] += float64(v)
			sum += float64(v)
		}
		if math.Abs(sum-r.z[i]) > 1e-4 {
			t.Fatalf("row %d: base and effects are %v, the score is %v", i, sum, r.z[i])
		}
		r.effects = append(r.effects, g)
	}
	return r
}

// delete sets the inputs of some reasons of row i to their mean and returns by
// how much that lowers the score.
func (r *reasoned) delete(i int, reasons []int) float64 {
	gone := map[int]bool{}
	for _, g := range reasons {
		gone[g] = true
	}
	x := r.x.Select([]int{i})
	for j, g := range r.group {
		if gone[g] {
			x.Data[j] = 0
		}
	}
	z := make([]float64, 1)
	r.ensemble.Score(x, &heads.Scratch{}, z)
	return r.z[i] - z[0]
}

// deletion is what deleting reasons does, as means over all rows.
type deletion struct {
	top, random float64 // size of the change of log-odds: the largest reasons, random ones
	raising     float64 // fall of the score without the reasons that raise it most
	lowering    float64 // and without those that lower it most: a rise
	sameSign    float64 // share of rows whose score moves against the largest reason
	rows        int
}

const deleted = 3

func (r *reasoned) measure(effects func(i int) []float64) deletion {
	rng := rand.New(rand.NewPCG(5, 5))
	var d deletion
	for i := range r.z {
		e := effects(i)
		order := make([]int, len(e))
		for k := range order {
			order[k] = k
		}
		sort.Slice(order, func(a, b int) bool { return math.Abs(e[order[a]]) > math.Abs(e[order[b]]) })
		d.top += math.Abs(r.delete(i, order[:deleted]))
		if r.delete(i, order[:1])*e[order[0]] > 0 {
			d.sameSign++
		}
		d.random += math.Abs(r.delete(i, rng.Perm(len(e))[:deleted]))
		sort.Slice(order, func(a, b int) bool { return e[order[a]] > e[order[b]] })
		d.raising += r.delete(i, order[:deleted])
		d.lowering += r.delete(i, order[len(order)-deleted:])
		d.rows++
	}
	n := float64(d.rows)
	d.top, d.random, d.raising, d.lowering, d.sameSign = d.top/n, d.random/n, d.raising/n, d.lowering/n, d.sameSign/n
	return d
}

// faithful says whether reasons are what moves the score.
func (d *deletion) faithful() bool {
	return d.top > 2.5*d.random && d.raising > d.random && d.lowering < -d.random && d.sameSign > .9
}

// check wants the reasons to be faithful, and three wrong attributions not.
func (r *reasoned) check(t *testing.T) {
	t.Helper()
	d := r.measure(func(i int) []float64 { return r.effects[i] })
	t.Logf("mix %.2f, trees of depth %d: deleting %d reasons moves the log-odds of %d rows by %.3f, random ones by %.3f; raising ones %+.3f, lowering ones %+.3f; same sign %.3f",
		r.ensemble.Mix, r.ensemble.Forest.Depth, deleted, d.rows, d.top, d.random, -d.raising, -d.lowering, d.sameSign)
	if !d.faithful() {
		t.Errorf("reasons are not what moves the score: %+v", d)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	wrong := map[string]func(i int) []float64{
		"shuffled": func(i int) []float64 {
			e := append([]float64(nil), r.effects[i]...)
			rng.Shuffle(len(e), func(a, b int) { e[a], e[b] = e[b], e[a] })
			return e
		},
		"sign turned": func(i int) []float64 {
			e := append([]float64(nil), r.effects[i]...)
			for k := range e {
				e[k] = -e[k]
			}
			return e
		},
		"smallest first": func(i int) []float64 {
			e := append([]float64(nil), r.effects[i]...)
			for k := range e {
				e[k] = 1 / (math.Abs(e[k]) + 1e-6)
			}
			return e
		},
	}
	for name, effects := range wrong {
		if d := r.measure(effects); d.faithful() {
			t.Errorf("effects %s pass for reasons: %+v", name, d)
		}
	}
}

func TestDeletingReasonsMovesTheScore(t *testing.T) {
	t.Parallel()
	b, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	reason(t, fixture.New(400, 1, 5), b.Heads).check(t)
}

func TestDeletingReasonsOfRetailCustomers(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("PROFILESTREAM_DATA")
	if folder == "" {
		t.Skip("SKIPPED: PROFILESTREAM_DATA does not name the folder with online_retail_dev.csv.gz, so reasons are not tried on real customers")
	}
	s, err := fixture.Retail(filepath.Join(folder, "online_retail_dev.csv.gz"), []time.Time{time.Date(2011, 5, 1, 0, 0, 0, 0, time.UTC)}, 90*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	d := train.Dataset{Rows: []arrow.Record{s.Rows}, Churn: s.Churn, Spend: s.Spend, Horizon: 90 * 24 * time.Hour}
	res, err := train.Train(context.Background(), d, train.Options{Seed: 1, Folds: 2, Epochs: 3, Rounds: 40, Trials: 1})
	if err != nil {
		t.Fatal(err)
	}
	reason(t, s, res.Model).check(t)
}
