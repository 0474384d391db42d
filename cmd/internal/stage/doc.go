// Package stage assembles the pipeline's stages from stream, profile and
// inference: admission, windowing, scoring and sinking. The three processes,
// the demo and the tools run the same code from here.
//
//	admission  input topics  -> event log, DLQ       one merge over a worker's sources
//	windowing  event log     -> windows, days, late  one goroutine a log partition
//	scoring    windows, days -> scored               one goroutine a partition, one encoder a worker
//	sinking    scored, dlq, late -> ClickHouse       one writer a worker
//
// A stage owns the order of effects (append, acknowledge, commit). It holds no
// domain rules: what an event means is profile's, what a score is inference's.
package stage
