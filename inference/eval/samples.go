package eval

// Bootstrap draws samples of whole groups (customers, so that several rows of
// one do not pass for independent) and calls f with the rows of each.
func Bootstrap(groups []string, samples int, seed uint64, f func(rows []int)) {
	of, n := numbered(groups)
	members := make([][]int, n)
	for i, k := range of {
		members[k] = append(members[k], i)
	}
	times, rows := make([]float64, n), make([]int, 0, len(groups))
	for s := range samples {
		drawTimes(times, seed, uint64(s))
		rows = rows[:0]
		for k, t := range times {
			for range int(t) {
				rows = append(rows, members[k]...)
			}
		}
		f(rows)
	}
}

// resample computes every metric of every model on all rows and on each sample:
// values[model][metric] and drawn[model][metric][sample].
func resample(models []Prediction, y []float64, groups []string, samples int, seed uint64, metrics []func(p, y []float64) float64) (values [][]float64, drawn [][][]float64) {
	values, drawn = make([][]float64, len(models)), make([][][]float64, len(models))
	for m := range models {
		values[m], drawn[m] = make([]float64, len(metrics)), make([][]float64, len(metrics))
		for k, f := range metrics {
			values[m][k] = f(models[m].Score, y)
		}
	}
	Bootstrap(groups, samples, seed, func(rows []int) {
		ys := pick(y, rows)
		for m := range models {
			ps := pick(models[m].Score, rows)
			for k, f := range metrics {
				drawn[m][k] = append(drawn[m][k], f(ps, ys))
			}
		}
	})
	return values, drawn
}

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}
