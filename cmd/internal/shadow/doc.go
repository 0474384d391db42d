// Package shadow tries a candidate bundle beside the one at work: both score the
// same customers as of the same days, and a report says how scores, bands and
// segments would move and what the candidate costs.
//
// Invariants: a report and the rows for the dashboard hold counts and sums, never a
// customer; nothing of the pipeline changes. It does not judge a bundle: the gate
// does, on outcomes.
package shadow
