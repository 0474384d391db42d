package finetune

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"profilestream/inference/token"
)

// Streams of random numbers; each is drawn from the seed on its own.
const (
	drawLimit = iota + 1
	drawSplit
	drawOrder
	drawDropout
)

// permutation is a random order of n things.
func permutation(n int, seed, stream uint64) []int {
	return rand.New(rand.NewPCG(seed, stream)).Perm(n)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// data is the examples as the model reads them.
type data struct {
	classes    []string
	ids        [][]int32
	labels     []int
	train, val []int
}

// load tokenises the examples and splits them.
func load(examples []Example, tok *token.Tokenizer, o *Options) (*data, error) {
	d := &data{ids: make([][]int32, len(examples)), labels: make([]int, len(examples))}
	counts := map[string]int{}
	for _, e := range examples {
		counts[e.Label]++
	}
	d.classes = sortedKeys(counts)
	if len(d.classes) < 2 {
		return nil, fmt.Errorf("the examples have %d labels, at least 2 are needed", len(d.classes))
	}
	if len(d.classes) > maxClasses {
		return nil, fmt.Errorf("the examples have %d labels, at most %d are allowed: is this the column of labels?", len(d.classes), maxClasses)
	}
	for i, e := range examples {
		d.ids[i] = tok.Encode(e.Text, o.MaxLength)
		d.labels[i], _ = slices.BinarySearch(d.classes, e.Label)
	}
	held := split(examples, o.ValShare, o.Seed)
	for i, h := range held {
		if h {
			d.val = append(d.val, i)
		} else {
			d.train = append(d.train, i)
		}
	}
	if len(d.train) == 0 || len(d.val) == 0 {
		return nil, errors.New("training and validation both need examples")
	}
	return d, nil
}

const maxClasses = 1000

// split says which examples are held out: those the examples themselves name, else of
// each label about the given share, whole groups at a time.
func split(examples []Example, share float64, seed uint64) []bool {
	held := make([]bool, len(examples))
	named := false
	for i, e := range examples {
		held[i] = e.Held
		named = named || e.Held
	}
	if named {
		return held
	}
	members := map[string][]int{}
	for i, e := range examples {
		key := "g" + e.Group
		if e.Group == "" {
			key = fmt.Sprint("e", i)
		}
		members[key] = append(members[key], i)
	}
	// A group counts for the label of its last example: windows come in the order of
	// time, and the newest says most.
	byLabel := map[string][]string{}
	sizes := map[string]int{}
	for _, key := range sortedKeys(members) {
		m := members[key]
		l := examples[m[len(m)-1]].Label
		byLabel[l] = append(byLabel[l], key)
		sizes[l] += len(m)
	}
	for n, l := range sortedKeys(byLabel) {
		keys, want := byLabel[l], int(share*float64(sizes[l])+.5)
		for _, k := range permutation(len(keys), seed+uint64(n)<<32, drawSplit) {
			if want <= 0 {
				break
			}
			for _, i := range members[keys[k]] {
				held[i] = true
				want--
			}
		}
	}
	return held
}
