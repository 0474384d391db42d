package stage

import "profilestream/stream/wire"

// Codecs and sizes of our own topics, chosen by measurement: see docs/benchmarks.md.
const (
	// logCodec packs the event log: the cheapest of those that halve it.
	logCodec = wire.Snappy
	// rowsCodec packs Arrow messages, which are mostly small integers.
	rowsCodec = wire.Snappy
	// stateCodec packs state records.
	stateCodec = wire.Snappy

	maxRowBatchBytes = 2 << 20
)
