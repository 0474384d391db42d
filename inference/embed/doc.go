// Package embed turns texts into vectors: tokenizer, cache, batches, breaker, encoder.
//
// It owns the embedding cache (memory, and optionally a folder shared by processes and kept
// between runs), the order and size of batches, and the circuit breaker
// around the encoder. Embedder.Embed is the scorer's way from text to vector.
//
// Invariants: a text's vector is the same bits whatever texts come with it, cached or
// not; memory and folder of the cache are bounded in bytes, and the
// folder may be deleted at any time; an open breaker is ErrOpen at once, and
// nothing is dropped: the caller waits or scores without.
//
// It never retries, never logs a text, and does not decide what to do when degraded.
package embed
