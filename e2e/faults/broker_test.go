package faults

import (
	"slices"
	"time"

	"profilestream/e2e/harness"
)

// failover is row 5: of three brokers one is killed and comes back; all are
// stopped cleanly; all are killed. Nobody exits.
func failover(x *trial) {
	rounds := max(3, x.events*9/50_000)
	cluster := harness.StartCluster(x, 3)
	x.patient = true
	x.setUp(options{pieces: rounds * 4, kafka: cluster})
	c := x.crew()
	for n := range rounds {
		x.send()
		lag := x.busy("admission")
		if x.wrong > 0 {
			return
		}
		x.kills++
		x.lagged(lag, "admission")
		switch n % 3 {
		case 0:
			cluster.Kill(x.rng.IntN(3))
			x.send() // two of three are enough
		case 1:
			cluster.Stop()
		case 2:
			for node := range 3 {
				cluster.Kill(node)
			}
		}
		cluster.Restart()
		x.send()
		if !x.caughtUp(c.ps...) {
			return
		}
		x.recoveries++
	}
	x.finish(c)
}

// network is row 7: between the processes and Kafka there is a proxy that is
// slow, cuts connections, lets through little, falls silent, or cuts off what is
// appended.
func network(x *trial) {
	appendsCut.Store(0)
	rounds := max(len(troubles), x.events*2*len(troubles)/50_000)
	start(x)
	link := newLink(x, "127.0.0.1:"+parts.proxied[1], "127.0.0.1:"+parts.proxied[0])
	x.setUp(options{pieces: rounds * 3, brokers: "127.0.0.1:" + parts.proxied[1]})
	c := x.crew()
	for n := range rounds {
		x.send()
		lag := x.busy("admission")
		if x.wrong > 0 {
			return
		}
		x.kills++
		x.lagged(lag, "admission")
		trouble, cut := troubles[n%len(troubles)], appendsCut.Load()
		link.trouble(x, trouble)
		x.send()
		if trouble == noAppends {
			x.eventually("appends are cut off", func() bool { return appendsCut.Load() >= cut+4 })
		}
		x.passes(4 * time.Second)
		link.clear()
		if !x.caughtUp(c.ps...) {
			return
		}
		x.recoveries++
	}
	x.caughtUp(c.ps...)
	var peak []int64
	for _, p := range c.ps {
		peak = append(peak, p.PeakBytes()>>20)
	}
	x.finish(c)
	x.note("peak memory of ingest, ingest, scorer, sink: %d MiB; %d appends were cut off", peak, appendsCut.Load())
	x.must(slices.Max(peak) < 1024, "a process took %d MiB", slices.Max(peak))
}
