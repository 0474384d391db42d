// Package privacy owns what keeps people's ids out of our stores: erasures and
// pseudonyms.
//
// An erasure is one record of the compacted topic profile.erasures, under the
// keyed hash of a user's id: the source positions below which the user's records
// are to be ignored by every run, and the place of the erase record in each event
// log that there was. What the runs do by it is in stage; this package keeps the
// record, carries an erasure out and says how far it has come.
//
// Invariants:
//   - The topic never holds an id, and neither does a statement that is sent to
//     ClickHouse.
//   - An erasure's positions never change: repeating it completes it. What the
//     user does later is a matter of another erasure.
//   - The record is written before any log hears of it, and lists the logs before
//     they do; so a run that it does not list has read it before its first record.
//   - The stage told is what was found just now, never what was meant to be done.
package privacy
