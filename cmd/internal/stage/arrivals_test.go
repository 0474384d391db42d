package stage

import (
	"testing"
	"time"

	"profilestream/cmd/internal/config"
)

// TestArrivalsAreWorkedOff: live rows begin when the log has what the inputs held
// some seconds ago, not before, and however much comes in meanwhile.
func TestArrivalsAreWorkedOff(t *testing.T) {
	r := newRig(t)
	now := day0
	a := &arrivals{cfg: r.env.Config, client: r.c, now: func() time.Time { return now }}
	is := func(when string, want bool) {
		t.Helper()
		got, err := a.workedOff(r.ctx())
		if err != nil || got != want {
			t.Fatalf("%s: worked off = %v, %v; want %v", when, got, err, want)
		}
	}
	r.pour("a", 0, 100)
	is("nothing is admitted", false)
	r.admitAll()
	r.pour("b", 100, 50)
	is("a look comes too soon", false)
	now = now.Add(arrivedWithin + arrivalPoll)
	is("the ends are too old, those of now are not reached", false)
	r.admitAll()
	r.pour("c", 150, 50)
	now = now.Add(arrivalPoll)
	is("all that was there at the last look is admitted", true)
	r.pour("d", 200, 50)
	now = now.Add(time.Hour)
	is("later", true)

	of := *r.env.Config
	of.Log.Of = "another"
	a = &arrivals{cfg: &of, client: r.c, now: a.now}
	is("over another run's log there is nothing to admit", true)
	empty := newRig(t, func(c *config.Config) { c.Log.Partitions = 1 })
	a = &arrivals{cfg: empty.env.Config, client: empty.c, now: a.now}
	is("there are no inputs", true)
}
