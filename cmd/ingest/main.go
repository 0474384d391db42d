// Command ingest admits events from the input topics to the event log and folds
// the log into rows: the stages admission and windowing.
package main

import (
	"os"

	"profilestream/cmd/internal/process"
	"profilestream/cmd/internal/stage"
)

func main() {
	os.Exit(process.Main(process.Program{
		Name: "ingest", About: "admits events to the event log and folds them into per-user windows",
		HasUntil: true, Run: stage.Ingest,
	}, os.Args[1:], os.Stderr))
}
