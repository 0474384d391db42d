// Package queries makes a shop of any size with SQL alone and asks it the named
// queries of schemas.Queries, as the boards and the console do. The tests and
// the benchmark `queries` share it, so that what is measured is what is tested.
// It judges nothing.
package queries
