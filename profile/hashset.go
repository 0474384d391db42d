package profile

import (
	"math/bits"
	"slices"
)

// smallSet is the size up to which a scan beats an index.
const smallSet = 16

// hashSet is a set of 64-bit hashes in order of arrival, found by a scan while small and by an
// open-addressed index of positions above.
type hashSet struct {
	keys  []uint64
	index []uint32 // position + 1, 0 is free; nil while small
}

// find returns the position of h, or -1.
func (s *hashSet) find(h uint64) int {
	if s.index == nil {
		for i, k := range s.keys {
			if k == h {
				return i
			}
		}
		return -1
	}
	mask := uint64(len(s.index) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		p := s.index[i]
		if p == 0 {
			return -1
		}
		if s.keys[p-1] == h {
			return int(p - 1)
		}
	}
}

// add appends h, which must not be in the set.
func (s *hashSet) add(h uint64) {
	s.keys = append(s.keys, h)
	n := len(s.keys)
	switch {
	case s.index == nil && n <= smallSet:
	case 2*n > len(s.index):
		s.reindex()
	default:
		s.put(uint32(n))
	}
}

func (s *hashSet) put(pos uint32) {
	mask := uint64(len(s.index) - 1)
	i := s.keys[pos-1] & mask
	for s.index[i] != 0 {
		i = (i + 1) & mask
	}
	s.index[i] = pos
}

// reindex builds the index anew for the present keys, with room to double.
func (s *hashSet) reindex() {
	if len(s.keys) <= smallSet {
		s.index = nil
		return
	}
	s.index = make([]uint32, 1<<bits.Len(uint(2*len(s.keys))))
	for i := range s.keys {
		s.put(uint32(i + 1))
	}
}

// sketchSize is the number of smallest hashes from which a count is estimated. Up to as many
// distinct values a set is exact.
const sketchSize = 1024

// pruneAt is the least size at which a sketch drops what no estimate can need.
const pruneAt = 4 * sketchSize

// sketch counts the distinct values of an open day and of every part of it that ends with the
// day: each hash is kept with the last slot that saw it. A hash is needed only if among those
// seen in its slot or later there are not sketchSize+1 smaller ones, so memory is logarithmic
// in the number of values. What estimates use is a function of the set of values, not of
// their order.
type sketch struct {
	hashSet
	slots []uint16 // last slot of each key
	limit int      // size at which to prune next
}

func (s *sketch) see(h uint64, slot uint16) {
	if i := s.find(h); i >= 0 {
		s.slots[i] = max(s.slots[i], slot)
		return
	}
	s.add(h)
	s.slots = append(s.slots, slot)
	if len(s.keys) >= max(s.limit, pruneAt) {
		s.prune()
		s.limit = 2 * len(s.keys)
	}
}

// prune keeps the hashes that rank among the sketchSize+1 smallest of some end of the day. One
// more than sketchSize tells "more than sketchSize" from "exactly as many".
func (s *sketch) prune() {
	order := make([]int, len(s.keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if s.slots[a] != s.slots[b] {
			return int(s.slots[b]) - int(s.slots[a])
		}
		if s.keys[a] < s.keys[b] {
			return -1
		}
		return 1
	})
	smallest := make([]uint64, 0, sketchSize+2)
	keys, slots := make([]uint64, 0, len(order)/2), make([]uint16, 0, len(order)/2)
	for _, i := range order {
		h := s.keys[i]
		if len(smallest) > sketchSize {
			if h > smallest[sketchSize] {
				continue
			}
			smallest = smallest[:sketchSize]
		}
		at, _ := slices.BinarySearch(smallest, h)
		smallest = slices.Insert(smallest, at, h)
		keys, slots = append(keys, h), append(slots, s.slots[i])
	}
	s.keys, s.slots = keys, slots
	s.reindex()
}

// scratch is a set of hashes that is emptied in constant time, for unions.
type scratch struct {
	cells []scratchCell
	mask  uint64
	gen   uint32
}

type scratchCell struct {
	key uint64
	gen uint32 // the cell is taken if it is the scratch's
}

// reset empties the set and makes room for n hashes.
func (s *scratch) reset(n int) {
	size := 1 << bits.Len(uint(2*n|31))
	if size > len(s.cells) {
		s.cells, s.gen = make([]scratchCell, size), 0
	}
	s.mask = uint64(size - 1)
	s.gen++
	if s.gen == 0 {
		clear(s.cells)
		s.gen = 1
	}
}

// insert adds h and says whether it is new.
func (s *scratch) insert(h uint64) bool {
	for i := h & s.mask; ; i = (i + 1) & s.mask {
		c := &s.cells[i]
		if c.gen != s.gen {
			c.key, c.gen = h, s.gen
			return true
		}
		if c.key == h {
			return false
		}
	}
}

func (s *scratch) has(h uint64) bool {
	for i := h & s.mask; ; i = (i + 1) & s.mask {
		c := &s.cells[i]
		if c.gen != s.gen {
			return false
		}
		if c.key == h {
			return true
		}
	}
}
