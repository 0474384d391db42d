// Package faults breaks a running pipeline in every way of the fault matrix and
// compares its tables with the oracle's afterwards: real processes, a real
// Kafka, the real engine, proxies in between, named failpoints and seeded
// schedules. Each row of the matrix is one line of the table that make faults
// prints; docs/faults.md says how each is made.
//
// Invariants: a line counts what was compared and what differs, nothing is
// waited for by a fixed time, and every row is shown to turn red when the
// mechanism behind it is broken.
package faults
