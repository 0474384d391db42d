// Package store keeps the state of one log partition on the local disk: opaque keys and values, and the position in
// the state topic that they stand for. It is a copy, never the truth: whatever is wrong with it, it is dropped and the
// topic is read again.
//
// Invariants:
//   - A batch and its position become durable together, in order. There is no write-ahead log: a crash loses what was
//     not flushed yet, at most about two memtables, and leaves an older position with exactly its content.
//   - A closed store is flushed, so that the next start finds what the last one left.
//   - A store without a position is one that was being filled: Open empties it.
//   - One process holds a store; another gets ErrInUse.
//   - Purge leaves nothing of a prefix in any file once it returns and obsolete files are gone.
//
// A key's prefix ends with its first NUL, or is all of it; the filters of the files hold prefixes, so that the look for
// one that is not there reads nothing. It never knows what a key means.
package store
