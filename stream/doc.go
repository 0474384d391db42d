// Package stream owns the Kafka ends of a process: which partitions it holds, how they are read, when positions are
// committed, which topics a run has. Domain code plugs in as a small [Processor] a partition, or as one
// [MergeProcessor] over all sources of a worker.
//
// Invariants:
//   - One goroutine owns a partition and its processor; nothing is shared between partitions.
//   - A position is committed only after Flush or Finish returned it, with the member's generation, and never after
//     the generation's work has ended. The broker refuses what a zombie sends.
//   - Every end of ownership (rebalance, SIGTERM, drain) runs stop fetching, Finish, commit, Close, leave, in that order.
//   - What is fetched ahead is bounded in bytes; a full buffer stops fetching and drops nothing.
//   - A position outside the log, a damaged batch or an unknown topic ends Run with an error that says so.
//
// It never knows what a record or a profile means.
package stream
