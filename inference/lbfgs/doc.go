// Package lbfgs minimises smooth functions by limited-memory BFGS (Nocedal 1980).
//
// Invariants: one start gives one end, to the bit. Never: data, models.
package lbfgs
