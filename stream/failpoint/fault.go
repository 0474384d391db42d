package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// FaultVariable is the environment variable that makes a mechanism fail on purpose, so that a test can show that it
// would be noticed: "windowing.lose_event:100" makes that fault due at its hundredth chance, "encoder.error:5-9" from
// its fifth to its ninth, "encoder.hang@30s-330s" while the process is between 30 and 330 seconds old, without numbers
// every time. Several are separated by commas.
const FaultVariable = "PROFILESTREAM_FAULT"

type fault struct {
	from, to int64 // chances at which it is due, counted from 1; 0: every one
	chances  atomic.Int64
	begin    time.Duration // of the process's life, while it is due; end 0: any time
	end      time.Duration
}

var started = time.Now()

var faults = faultsFromEnvironment()

func faultsFromEnvironment() map[string]*fault {
	spec := os.Getenv(FaultVariable)
	if spec == "" {
		return nil
	}
	out, err := parseFaults(spec)
	if err != nil {
		panic(err.Error()) // a test that asks for a fault that never comes would prove nothing
	}
	return out
}

func parseFaults(spec string) (map[string]*fault, error) {
	out := map[string]*fault{}
	for part := range strings.SplitSeq(spec, ",") {
		name, chances, counted := strings.Cut(strings.TrimSpace(part), ":")
		f := new(fault)
		if base, span, timed := strings.Cut(name, "@"); timed {
			first, last, _ := strings.Cut(span, "-")
			var err error
			if f.begin, err = time.ParseDuration(first); err == nil {
				f.end, err = time.ParseDuration(last)
			}
			if err != nil || f.begin < 0 || f.end <= f.begin {
				return nil, fmt.Errorf("%s: %q is not name@begin-end with durations such as 30s", FaultVariable, part)
			}
			name = base
		}
		if counted {
			first, last, ranged := strings.Cut(chances, "-")
			if !ranged {
				last = first
			}
			var err error
			if f.from, err = strconv.ParseInt(first, 10, 64); err == nil {
				f.to, err = strconv.ParseInt(last, 10, 64)
			}
			if err != nil || f.from < 1 || f.to < f.from {
				return nil, fmt.Errorf("%s: %q is not name, name:n or name:n-m with 1 <= n <= m", FaultVariable, part)
			}
		}
		if name == "" {
			return nil, fmt.Errorf("%s: a fault without a name", FaultVariable)
		}
		out[name] = f
	}
	return out, nil
}

// Due says whether this fault was asked for and is due now. Unset, it costs one load.
func Due(name string) bool {
	if faults == nil {
		return false
	}
	f := faults[name]
	return f != nil && f.due(time.Since(started))
}

func (f *fault) due(age time.Duration) bool {
	if f.end > 0 && (age < f.begin || age >= f.end) {
		return false
	}
	if f.from == 0 {
		return true
	}
	n := f.chances.Add(1)
	return n >= f.from && n <= f.to
}

// Now is the clock of a stage: the machine's, or one that is wrong by whole hours, as the faults "clock.ahead:n" and
// "clock.behind:n" say.
func Now() time.Time {
	now := time.Now()
	if faults == nil {
		return now
	}
	if f := faults["clock.ahead"]; f != nil {
		now = now.Add(time.Duration(f.from) * time.Hour)
	}
	if f := faults["clock.behind"]; f != nil {
		now = now.Add(-time.Duration(f.from) * time.Hour)
	}
	return now
}
