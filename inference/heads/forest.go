package heads

import (
	"fmt"
	"math"
)

// Tree is a complete binary tree in heap order: node n has the children 2n+1
// (input <= threshold) and 2n+2. Value holds for every node the mean score of
// the training rows below it; the leaves' values are the scores. A node that was
// not split has an infinite threshold, so all rows take its left child, which
// holds the same value.
type Tree struct {
	Feature   []int32   `json:"feature"`
	Threshold []float32 `json:"threshold"` // math.MaxFloat32 stands for infinite
	Value     []float32 `json:"value"`
}

// Forest is a sum of trees of one depth.
type Forest struct {
	Depth int    `json:"depth"`
	Trees []Tree `json:"trees"`
}

const noSplit = math.MaxFloat32

// base is the score of the mean training row: the sum of the roots.
func (f *Forest) base() float64 {
	var s float64
	for t := range f.Trees {
		s += float64(f.Trees[t].Value[0])
	}
	return s
}

// Score writes the score of each row to dst.
func (f *Forest) Score(x *Matrix, dst []float64) {
	clear(dst[:x.Rows])
	for t := range f.Trees {
		tree := &f.Trees[t]
		for i := range x.Rows {
			dst[i] += float64(tree.Value[tree.leaf(x.Row(i), f.Depth)])
		}
	}
}

func (t *Tree) leaf(row []float32, depth int) int {
	n := 0
	for range depth {
		next := 2*n + 1
		if row[t.Feature[n]] > t.Threshold[n] {
			next++
		}
		n = next
	}
	return n
}

func (f *Forest) validate(cols int) error {
	if f.Depth < 1 || f.Depth > maxDepth {
		return fmt.Errorf("trees of depth %d, at most %d", f.Depth, maxDepth)
	}
	inner := 1<<f.Depth - 1
	for t := range f.Trees {
		tree := &f.Trees[t]
		if len(tree.Feature) != inner || len(tree.Threshold) != inner || len(tree.Value) != 2*inner+1 {
			return fmt.Errorf("tree %d has %d nodes, want %d", t, len(tree.Value), 2*inner+1)
		}
		for _, j := range tree.Feature {
			if j < 0 || int(j) >= cols {
				return fmt.Errorf("tree %d reads input %d of %d", t, j, cols)
			}
		}
		if err := finite("trees", tree.Threshold, tree.Value); err != nil {
			return err
		}
	}
	return nil
}
