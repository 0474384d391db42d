// Package config reads and checks the configuration that ingest, scorer, sink
// and profilectl share: one YAML file, each key also as an environment variable
// (kafka.brokers is PROFILESTREAM_KAFKA_BROKERS), unknown keys are errors.
//
// Every error is a *Error that names the key, so that a process can exit with
// status 2 and say what to mend. Secrets come from files or the environment and
// print as "[redacted]".
package config
