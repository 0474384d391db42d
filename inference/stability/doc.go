// Package stability tells how far the customers of today are from those that a model
// was trained on: the population stability index of each feature and score.
//
// It owns the reference that training puts into a bundle (reference.json): for each
// feature and score the counts of the training rows by bins of about a tenth each.
//
// Invariants: no value of the training rows lies on the edge of a bin, so that two
// programs that compute a value differently in the last bit count it alike; a
// reference holds counts only, never a row. It does not read tables or say what
// should be done.
package stability
