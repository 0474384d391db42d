// Package models owns what travels when a model bundle is promoted: the record
// of the compacted models topic, the store of bundles that all scorers see, and
// the order of a promotion's effects.
//
// Invariants:
//   - A run's promotion numbers only grow, a rollback's included, and no two
//     promotions have one number.
//   - A record names a bundle by the hash of its manifest, which holds the hash
//     of every file: what is loaded is what was promoted, byte for byte.
//   - A record is written before the re-score that carries its number.
//
// It loads no encoder and scores nothing.
package models
