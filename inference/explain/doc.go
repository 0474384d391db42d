// Package explain says why a customer has a score: the effect of every feature,
// the events that mattered most, and the smallest change that would have put the
// customer into another band.
//
// It owns the search over changed histories. Invariants: an effect of an event
// and a flip are differences of real scores, of rows replayed from the changed
// events by the same code as the row itself; nothing is extrapolated. Never:
// events' formats, Kafka, files.
package explain
