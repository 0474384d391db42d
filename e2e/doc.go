// Package e2e holds the tests that run the real thing: our binaries as
// processes, a real Apache Kafka broker, the real ClickHouse engine, and an
// oracle in Python that shares no code with what it checks.
package e2e
