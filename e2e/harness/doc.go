// Package harness starts the real parts that the end-to-end tests and the
// benchmarks run against: a Kafka broker, the ClickHouse engine and our own
// binaries as processes. It feeds topics, kills processes and dumps what came
// out. It holds no double of any part and judges nothing: the oracle and the
// tests do.
package harness
