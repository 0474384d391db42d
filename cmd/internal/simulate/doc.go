// Package simulate is the simulated shop: a seeded generator of clickstream and
// purchase events with the latent truth beside them, and the conversion of an
// Online Retail file into purchase events.
//
// It owns the catalogue, the customers' latent behaviour (purchase rate,
// drop-out, spend, drifting interests, needs, mood), the texts they write, and the
// arrival model (delays, disorder, late events, duplicates, poison records).
//
// Invariants:
//   - The same Options give the same bytes: every choice is drawn from PCG
//     streams keyed by seed and customer, nothing iterates over a map, and all
//     work is done by one goroutine.
//   - Records come in arrival order: Kafka timestamps never fall.
//   - A customer's events do not depend on the arrival options: turning
//     disorder, late events, duplicates or poison on or off changes only when
//     and how often the same events arrive.
//   - No event of a customer lies after that customer's drop-out.
//   - Memory grows with the number of customers and with the events that are
//     on their way, never with the length of the history.
//
// Texts carry what the counts do not: feedback and queries about the shop tell
// the mood, and with it the hazard of leaving; other searches tell the category
// that is needed next (see need.go).
//
// It never talks to Kafka and never reads the wall clock.
package simulate
