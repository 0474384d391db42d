// Package console serves web pages over ClickHouse for those who look at
// customers: an overview, one customer, segments, and the pipeline's health.
//
// It owns the pages, their assets (all embedded: a page asks no other host) and
// the questions they ask. What it keeps to:
//
//   - It reads. ClickHouse is asked with readonly = 2, values travel as bound
//     parameters, and identifiers come from the list of fields alone. Saving a
//     segment as a view is the one write; it has to be allowed, and has
//     connections of its own.
//   - It answers the loopback address, or whoever knows the token.
//   - A page works without scripts; scripts add charts, suggestions and a size
//     that follows the filter. No script or style stands in a page.
//   - User ids are in pages, never in logs above debug.
package console
