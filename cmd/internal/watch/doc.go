// Package watch looks after models at work: how far today's customers are from
// those a model was trained on (drift), and how good its scores turned out to be
// once their horizon had passed (quality). It reads the tables of a run, writes
// drift_rows and model_quality_rows, and exports the newest figures as metrics.
//
// Invariants: a figure is computed from the tables alone, so any process may
// compute it, again too, and gets the same row; a week is judged only when every
// event that can change its labels has been applied or refused as late; no user id
// leaves ClickHouse. It does not decide what follows from a figure.
package watch
