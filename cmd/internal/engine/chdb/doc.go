// Package chdb binds libchdb, ClickHouse as a shared library, through its length-based C interface and without cgo.
//
// It owns the library's handle, the connections to it and the signal handlers around them. Invariants:
//   - libchdb installs signal handlers of its own whenever it connects; Go's are put back before Connect returns,
//     so SIGTERM reaches signal.Notify and a nil dereference is a Go panic.
//   - Statements, data and results are bytes with a length: a NUL in them is data.
//   - What the engine refuses is an *Exception with ClickHouse's code.
//   - A connection runs one statement at a time; the caller sees to that.
//
// It will not parse SQL, pool connections or know HTTP.
package chdb
