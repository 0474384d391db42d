// Package runs owns the life of a run that is started beside others: the record
// of how it was started, its configuration, its work from the past until it has
// caught up and beyond, its promotion and its end.
//
// Invariants:
//   - The record of a run, in the compacted topic profile.runs, is written before
//     anything else of it is made, and removed after everything else of it is
//     gone. What stands in it holds for as long as the run lives: starting the
//     run again goes on with it, or is refused.
//   - A promotion waits until the run has reached what its inputs held when it
//     was asked for.
//   - A run that serves, or whose log another one reads, is not retired.
//
// What the stages do is not decided here: a run works through the same assembly
// as the three processes.
package runs
