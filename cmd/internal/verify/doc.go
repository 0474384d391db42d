// Package verify proves that the tables of two runs hold the same profiles, or
// says where they first differ and why.
//
// It compares law L1's terms: day rows by (user_id, as_of) and latest rows by
// user_id; digests and features equal, scores within Tolerance at equal
// model_version. Versions, triggers, log positions and times of scoring are not
// compared. ClickHouse hashes both sides month by month; only months whose
// hashes differ are read, sorted, side by side. Memory is bounded by a month's
// sort in ClickHouse, which spills to disk, and by the users that have events
// late in one run alone.
//
// It only reads. Rows that change while it runs may show as differences.
package verify
