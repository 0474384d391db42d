package failpoint

import (
	"os"
	"strings"
	"sync/atomic"
)

// FaultVariable is the environment variable that makes a mechanism fail on purpose, so that a test can show that it
// would be noticed: "windowing.lose_event:100" makes that fault due at its hundredth chance, without a number every time.
const FaultVariable = "PROFILESTREAM_FAULT"

type fault struct {
	at   int64 // 0: every time
	hits atomic.Int64
}

var faults = faultsFromEnvironment()

func faultsFromEnvironment() map[string]*fault {
	spec := os.Getenv(FaultVariable)
	if spec == "" {
		return nil
	}
	s, err := parse(spec)
	if err != nil {
		panic(err.Error()) // a test that asks for a fault that never comes would prove nothing
	}
	out := make(map[string]*fault, len(s.points))
	for name, p := range s.points {
		out[name] = &fault{at: p.at}
		if !strings.Contains(spec, name+":") {
			out[name].at = 0
		}
	}
	return out
}

// Due says whether this fault was asked for and is due now. Unset, it costs one load.
func Due(name string) bool {
	if faults == nil {
		return false
	}
	f := faults[name]
	return f != nil && (f.at == 0 || f.hits.Add(1) == f.at)
}
