// Command engine is ClickHouse, embedded, behind ClickHouse's HTTP interface.
package main

import (
	"os"

	"profilestream/cmd/internal/engine"
)

func main() {
	os.Exit(engine.Main(os.Args[1:], os.Stdin, os.Stderr))
}
