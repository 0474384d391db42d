// Command profilectl operates a profilestream: set up, feed, train, score, inspect.
package main

import (
	"os"

	"profilestream/cmd/internal/ctl"
)

func main() { os.Exit(ctl.Main(os.Args[1:], os.Stdout, os.Stderr)) }
