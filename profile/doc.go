// Package profile is the pure domain: what an event is, and what a customer's profile as of a
// time is. It owns the parser of events, the records of the event log, the windows of a log
// partition, the rows made from them, and the records that keep its state.
//
// # The law
//
// A profile as of a time T is a function of the applied events up to T and of the configuration,
// of nothing else: not of the order in which they came, nor of duplicates, batches, checkpoints,
// restarts or clocks. Sums commute, sets are kept by hash, lists are ordered by (time, content),
// and time is data: watermark records of the log move it.
//
// # A log partition
//
// LogPartition folds the records of one partition of the event log. Each user has a base, all
// closed days in daily tiles, and one record for each day still open, in five-minute tiles. Open
// days whose rows went out are folded into the base in memory, not in the state topic, and
// unfolded when an event changes one: a row reads a few tiles, however long lateness is. A row is as of the end of a day or of the user's last event, never anything else; therefore closed
// days need no finer tiles, and a hash of a product needs to stand only under the newest closed
// day, and under the newest slot of an open day, that saw it.
//
// The owner's loop:
//
//	p, _ := NewPartition(cfg)
//	for each record of the state topic: p.Restore(key, value)
//	p.Start()
//	for each record of the log: p.Apply(offset, &record); if p.Pending(): p.Work(n) until it has no more
//	every live interval: p.EmitLive(n) until it has no more
//	after each Work and EmitLive: send p.Days().Take() and p.Live().Take(), then Recycle what was sent
//	or, with a Store that mirrors those records: p.StartFrom(store, bytes in memory, check) in place of Restore and Start
//	every checkpoint, and when p.Full(): EmitLive as above, wait for what was sent; p.Changes(...) in a transaction; p.Commit()
//
// # Invariants
//
//   - Rows of one user, as_of and version have one content, and versions of a user only grow.
//   - The state of any open day is base plus open days up to it, exactly.
//   - A user's memory is bounded by Config and the longest window: 372 daily tiles, 288 slots an
//     open day, 1,024 hashes a closed day and set, a logarithm more an open one, 16 list entries,
//     MaxEventsUserDay event ids an open day.
//   - State records carry a version and a checksum; what does not fit is refused, never guessed.
//
// # A store
//
// With a Store, only users that events named of late are in memory, in a bounded cache; changed ones
// stay there until a checkpoint. A passed day, and a live row of everybody, walk over the index of
// the store and read one user after the other. Rows are the same with and without a store.
//
// # Choices within the contract
//
//   - Flag bot: one of the 30 days up to as_of has a five-minute tile of 100 events or more, and
//     those days hold no purchase. Flag hot: one of them had events over MaxEventsUserDay.
//   - Lists hold the newest distinct entries of the last 365 days: 5 products viewed, 2 put in the
//     cart, 5 bought, 1 refunded, 2 queries, 1 ad click; strings are cut at 128 bytes. The newest
//     feedback, cut at 512 bytes, is kept for life. Equal times are ordered by content.
//   - Estimates of distinct counts apply above 1,024 values a UTC day; up to there counts are exact.
//   - Sums of money and of quantities wrap at 2^63 (9.2e12 units of currency a user).
//
// It never touches the network, files, the wall clock or randomness, and imports neither stream
// nor inference.
package profile
