// Package heads holds the small models behind the scores: churn and value on
// the numeric inputs and the text components, sentiment and interests on the
// embeddings of short texts.
//
// It owns their arithmetic, fitting, calibration, explanation and file format.
// Invariants: the score of a row is a function of that row alone, summed in a
// fixed order, so it is bitwise equal in every batch and on every replay; all
// fitting is seeded and repeats to the bit; effects add up to the log-odds they
// explain. Never: Arrow, features' names beyond their positions, network.
package heads
