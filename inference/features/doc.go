// Package features turns rows of schemas.WindowRows into the float32 inputs of
// the heads.
//
// It owns the list of inputs: each is derived from the one feature list in
// schemas by a signed logarithm, a ratio or a missing-value mark, so a feature
// added there becomes an input here. Windows shorter than a week are left out:
// they say more about the hour of the row than about the customer.
//
// Invariants: an input of a row depends on that row alone, is computed in a
// fixed order and is finite; NULL becomes the training mean plus a mark. Never:
// model weights, text, network.
package features
