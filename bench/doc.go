// Command bench measures the pipeline: our binaries as processes against a real
// Kafka broker and the real ClickHouse engine, and the domain in process. It
// writes one JSON object a figure.
//
// Invariants: a value is the median over the runs and the spread is
// (largest - smallest) / median; each figure names its input; processor seconds
// are the process's own (rusage, or its metric of the same clock), so that what
// else the machine does distorts them little.
//
// It judges nothing and sets no limits: docs/benchmarks.md says how to compare.
package main
