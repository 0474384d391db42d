// Package score turns window rows into scored rows: texts, embeddings, inputs,
// heads, words.
//
// It owns the columns of schemas.ScoredRows after the features. Invariants: a row's
// scores depend on that row and the bundle alone, bit for bit, in whatever batch it
// comes; no value that is not finite ever leaves, an error does; the columns of the
// window rows pass through without a copy. Never: offsets, retries, waiting for an
// encoder: whether to score without embeddings is the caller's choice.
package score
