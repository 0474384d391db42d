package training

import (
	"runtime"
	"syscall"
	"time"

	"profilestream/inference/eval"
)

// meter sees the stages of a training go by and adds up what each took. It is
// told of them as Progress is, by one goroutine at a time.
type meter struct {
	progress    func(stage string, done, total int)
	start, last usage
	cost        eval.Cost
}

// usage is a reading of the clocks.
type usage struct {
	at  time.Time
	cpu time.Duration
	rss float64 // the largest so far, in MiB
}

func newMeter(progress func(stage string, done, total int)) *meter {
	m := &meter{progress: progress, start: read()}
	m.last = m.start
	return m
}

func read() usage {
	u := usage{at: time.Now()}
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
		u.rss = float64(r.Maxrss) / 1024 // Linux counts KiB
	}
	return u
}

// CPUTime is the processor time of this process so far, user and system.
func CPUTime() time.Duration { return read().cpu }

// step passes progress on; a new stage ends the one before.
func (m *meter) step(stage string, done, total int) {
	if n := len(m.cost.Stages); n == 0 || m.cost.Stages[n-1].Name != stage {
		m.lap()
		m.cost.Stages = append(m.cost.Stages, eval.Stage{Name: stage})
	}
	m.progress(stage, done, total)
}

func (m *meter) lap() {
	now := read()
	if n := len(m.cost.Stages); n > 0 {
		s := &m.cost.Stages[n-1]
		s.Seconds, s.CPUSeconds = now.at.Sub(m.last.at).Seconds(), (now.cpu - m.last.cpu).Seconds()
	}
	m.last = now
}

// done ends the last stage and gives the whole.
func (m *meter) done() *eval.Cost {
	m.lap()
	m.cost.Seconds, m.cost.CPUSeconds = m.last.at.Sub(m.start.at).Seconds(), (m.last.cpu - m.start.cpu).Seconds()
	m.cost.PeakMiB, m.cost.Cores = m.last.rss, runtime.GOMAXPROCS(0)
	return &m.cost
}
