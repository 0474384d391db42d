// Package eval measures predictions against what came: discrimination,
// calibration, ranking and their uncertainty.
//
// It owns the metrics, the bootstrap, evaluation.json and its HTML page.
// Invariants: every figure is a function of predictions, labels and seed; ties
// count half; a figure that the data do not determine (one class only) is NaN in
// Go and null in JSON, never a number. Never: models, features, training.
package eval
