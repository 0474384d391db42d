// Package text renders a row of windows as the few words an encoder reads.
//
// It owns the vocabulary and the order of the parts. Counts, money and recency become
// words on log-scale buckets, so that a silent user's text changes a handful of times a
// year and its vector comes from the cache; see docs/decisions/0010-text-of-a-window.md.
//
// Invariants: a text is a function of the row alone, whatever the order of its lists; it
// holds nothing later than the row's as_of and no user id (a Window has none); it is
// valid UTF-8 on one line; its estimated tokens are at most Budget.
//
// Version must change with any change of a rendered text: heads are trained on it.
package text
