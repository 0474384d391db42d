// Command sink keeps the profiles, their history, dead letters and late events
// in ClickHouse: the stage sinking.
package main

import (
	"os"

	"profilestream/cmd/internal/process"
	"profilestream/cmd/internal/stage"
)

func main() {
	os.Exit(process.Main(process.Program{
		Name: "sink", About: "keeps profiles and their history in ClickHouse",
		Run: stage.Sink,
	}, os.Args[1:], os.Stderr))
}
