// Package clickhouse is the ClickHouse end of the stream: it opens the
// connection, brings a database to the present schema, and writes Arrow
// records as native blocks.
//
// It owns the encoding of Arrow columns as ClickHouse columns, the batching of
// messages into blocks, retries, the breaker, and the isolation of rows that
// ClickHouse refuses.
//
// Invariants:
//   - a ticket is done without an error only after ClickHouse has acknowledged
//     every row added under it, or the row was handed to OnRejected;
//   - a row is never dropped: while ClickHouse is away, Add blocks;
//   - memory is bounded by Config.MaxQueuedBytes plus one encoded block a table;
//   - blocks of one table are sent one after the other, in the order of Add.
//
// A block may be stored twice when its acknowledgement is lost. That is
// harmless because every table is idempotent by key and version; therefore the
// package never asks ClickHouse for deduplication of inserts.
//
// It does not know what a profile means, reads no Kafka and commits no offset.
package clickhouse
