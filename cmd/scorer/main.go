// Command scorer reads windows with the encoder and scores them: the stage
// scoring.
package main

import (
	"os"

	"profilestream/cmd/internal/process"
	"profilestream/cmd/internal/stage"
)

func main() {
	os.Exit(process.Main(process.Program{
		Name: "scorer", About: "reads windows with the encoder and gives churn, value, interests and reasons",
		HasForce: true, Run: stage.Score,
	}, os.Args[1:], os.Stderr))
}
