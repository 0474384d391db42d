// Package wire speaks the parts of the Kafka protocol this system depends on: the record batch format, raw fetches,
// idempotent and transactional appends, offsets and topic administration. It stands on kafka-go's public Transport and
// Client, which own connections, metadata, TLS and SASL.
//
// Invariants:
//   - Nothing is skipped silently. An offset outside the log is an [OffsetOutOfRangeError] with the numbers in it, a
//     batch that fails its checksum is [ErrCorrupt], and a position moves only past records that were handed out,
//     compacted away, aborted, are the broker's own markers, or were passed over by name with [Decoder.PassOver].
//   - A [Producer] is one ordered, gap-free stream for one topic partition: one batch in flight, sequence numbers,
//     acks=all. After an error whose outcome is unknown it refuses to go on; the owner restarts from its committed
//     position.
//   - A [Transactor] fences older ones of its name when it is made, and never again. Once fenced it stays dead.
//   - Bytes from the network never panic and never allocate more than a fixed limit.
//
// It never knows what a record means, never writes logs, and never commits an offset by itself.
package wire
