package heads

import "math/bits"

// maxDepth bounds a forest's trees, so that the tables of their effects stay small.
const maxDepth = 6

// block is the part of a tree below one node near its leaves, with the nodes
// above it. What each input adds to the score by way of the block's leaves
// depends only on which way its nodes send a row, so it is a table.
type block struct {
	nodes  []uint8   // heap positions, ancestors first
	whole  bool      // the tree's nodes in order
	inputs []int32   // distinct inputs that the nodes test
	table  []float32 // a line of len(inputs) effects for each pattern of the nodes' answers
}

// blockDepth is the depth of the part below a block's node.
func blockDepth(depth int) int {
	if depth <= 3 {
		return depth
	}
	return 2
}

// shapley holds the effects of a forest's trees: exact Shapley values of the
// game in which the inputs outside a coalition are unknown, and a node that tests
// one of them sends shares of the row to both of its children (Lundberg et al.
// 2020, path-dependent; tables by pattern as in Yang 2021, FastTreeSHAP v2).
type shapley struct {
	forest *Forest
	blocks [][]block // of each tree
}

// leftShare is the share of a node's training rows that went left, which the values
// tell: a node's value is the mean of its children's by their rows. Where both are
// equal, any share gives the node's value.
func (t *Tree) leftShare(n int) float64 {
	l, r := float64(t.Value[2*n+1]), float64(t.Value[2*n+2])
	if t.Threshold[n] == noSplit || l == r {
		return 1
	}
	return min(1, max(0, (float64(t.Value[n])-r)/(l-r)))
}

func newShapley(f *Forest) *shapley {
	s := &shapley{forest: f, blocks: make([][]block, len(f.Trees))}
	b := blockDepth(f.Depth)
	tops := 1 << (f.Depth - b)
	for t := range f.Trees {
		for k := range tops {
			if b := f.Trees[t].block(f.Depth, b, tops-1+k); len(b.inputs) > 0 {
				s.blocks[t] = append(s.blocks[t], b)
			}
		}
	}
	return s
}

// block makes the table of the part of the given depth below node top.
func (t *Tree) block(depth, below, top int) block {
	var b block
	for n := top; n > 0; {
		n = (n - 1) / 2
		b.nodes = append([]uint8{uint8(n)}, b.nodes...)
	}
	for first, width := top, 1; width < 1<<below; first, width = 2*first+1, 2*width {
		for k := range width {
			b.nodes = append(b.nodes, uint8(first+k))
		}
	}
	b.whole = top == 0
	// An input's place in the lines; one that is never split on has none.
	place := map[int32]int{}
	for _, n := range b.nodes {
		if _, ok := place[t.Feature[n]]; !ok && t.Threshold[n] != noSplit {
			place[t.Feature[n]] = len(b.inputs)
			b.inputs = append(b.inputs, t.Feature[n])
		}
	}
	width := len(b.inputs)
	b.table = make([]float32, width<<len(b.nodes))
	line := make([]float64, width)
	for pattern := range 1 << len(b.nodes) {
		clear(line)
		right := map[int]bool{}
		for k, n := range b.nodes {
			right[int(n)] = pattern>>k&1 == 1
		}
		first := (top+1)<<below - 1
		for leaf := first; leaf < first+1<<below; leaf++ {
			t.leafEffects(leaf, right, place, line)
		}
		for i, v := range line {
			b.table[pattern*width+i] = float32(v)
		}
	}
	return b
}

// factor is what an input brings to the way to a leaf: known says whether the
// row goes that way where the input is known, unknown the share that does where
// it is not.
type factor struct {
	place          int
	known, unknown float64
}

// leafEffects adds the Shapley values of a leaf to line.
func (t *Tree) leafEffects(leaf int, right map[int]bool, place map[int32]int, line []float64) {
	var way [maxDepth]factor
	m := 0
	for n := leaf; n > 0; {
		isRight := n%2 == 0
		n = (n - 1) / 2
		if t.Threshold[n] == noSplit {
			if isRight {
				return // no row comes here
			}
			continue
		}
		at := place[t.Feature[n]]
		k := 0
		for k < m && way[k].place != at {
			k++
		}
		if k == m {
			way[m] = factor{place: at, known: 1, unknown: 1}
			m++
		}
		share := t.leftShare(n)
		if isRight {
			share = 1 - share
		}
		way[k].unknown *= share
		if right[n] != isRight {
			way[k].known = 0
		}
	}
	for i := range m {
		line[way[i].place] += float64(t.Value[leaf]) * (way[i].known - way[i].unknown) * coalitions(way[:m], i)
	}
}

// coalitions is the mean, over the orders in which the inputs become known, of
// the share of the row that the others send the leaf's way when i's turn comes.
func coalitions(way []factor, i int) float64 {
	m := len(way)
	var sum float64
	for set := range 1 << m {
		if set>>i&1 == 1 {
			continue
		}
		p := coalitionWeight[m][bits.OnesCount(uint(set))]
		for j := range way {
			switch {
			case j == i:
			case set>>j&1 == 1:
				p *= way[j].known
			default:
				p *= way[j].unknown
			}
		}
		sum += p
	}
	return sum
}

// coalitionWeight is s!(m-s-1)!/m! for coalitions of s of m inputs.
var coalitionWeight = func() (w [maxDepth + 1][maxDepth + 1]float64) {
	factorial := [maxDepth + 1]float64{1}
	for n := 1; n <= maxDepth; n++ {
		factorial[n] = factorial[n-1] * float64(n)
	}
	for m := 1; m <= maxDepth; m++ {
		for s := range m {
			w[m][s] = factorial[s] * factorial[m-s-1] / factorial[m]
		}
	}
	return w
}()

// explain writes the forest's scores, bit by bit those of Forest.Score, and adds
// scale times the effect of each input to effects.
func (s *shapley) explain(x *Matrix, dst []float64, scale float32, effects *Matrix) {
	f := s.forest
	clear(dst[:x.Rows])
	for t := range f.Trees {
		tree, blocks := &f.Trees[t], s.blocks[t]
		for i := range x.Rows {
			row := x.Row(i)
			answers := tree.answers(row)
			dst[i] += float64(tree.Value[leafOf(answers, f.Depth)])
			e := effects.Row(i)
			for k := range blocks {
				b := &blocks[k]
				pattern := b.pattern(answers)
				for c, v := range b.table[pattern*len(b.inputs) : (pattern+1)*len(b.inputs)] {
					e[b.inputs[c]] += scale * v
				}
			}
		}
	}
}

// pattern gathers the answers of the block's nodes.
func (b *block) pattern(answers uint64) int {
	if b.whole {
		return int(answers)
	}
	pattern := 0
	for bit, n := range b.nodes {
		pattern |= int(answers>>n&1) << bit
	}
	return pattern
}

// answers has bit n set where node n sends the row right.
func (t *Tree) answers(row []float32) uint64 {
	var a uint64
	thresholds := t.Threshold[:len(t.Feature)]
	for n, j := range t.Feature {
		var right uint64 // without a jump: answers are hard to predict
		if row[j] > thresholds[n] {
			right = 1
		}
		a |= right << (n & 63)
	}
	return a
}

func leafOf(answers uint64, depth int) int {
	n := 0
	for range depth {
		n = 2*n + 1 + int(answers>>n&1)
	}
	return n
}
