// Package engine serves the embedded ClickHouse engine over ClickHouse's HTTP interface, so that an unmodified
// clickhouse-go client, a dashboard or curl talks to it as to a server.
//
// It owns the translation between HTTP and the engine's sessions. Invariants:
//   - The whole body of an INSERT is here, decoded and within its limit, before the engine sees a byte of it: a client
//     that goes away, a truncated or a corrupt body inserts nothing.
//   - What cannot be decoded or parsed is an error with ClickHouse's code, never an empty success.
//   - A success is sent only after the engine has stored the data.
//   - It listens on the loopback interface unless told otherwise, and answers no web page of another origin.
//
// It has one user, `default`, without a password; it has no Keeper, hence no replicated tables and no ON CLUSTER. It
// will not keep sessions: what needs one (SET, USE, temporary tables) is refused, since it would be forgotten silently.
package engine
