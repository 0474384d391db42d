// Package history replays events that lie in files through the same profile
// code as the live pipeline, and cuts rows as of chosen times: the training set
// of the models, and the rows of a file that is scored. One customer's events,
// from files or from the event log, it also replays with changes.
//
// Invariants: a row as of T is computed before any event later than T is
// applied (law L4); a label comes from events later than T alone; duplicates
// count once. It holds a whole history in memory, about 400 bytes an event.
package history
