// Package schemas owns every name and shape that crosses a process boundary:
// the list of features, the Arrow schemas of the messages between the stages,
// the topic names of a run, the ClickHouse migrations and the golden samples.
//
// The feature list is the one source of truth: Arrow columns, ClickHouse
// columns, model inputs and documentation are derived from it.
//
// It imports nothing of ours and does no work beyond rendering what it embeds.
package schemas
