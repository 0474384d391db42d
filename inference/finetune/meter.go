package finetune

import (
	"syscall"
	"time"
)

// meter measures wall and CPU time of the process.
type meter struct {
	wall time.Time
	cpu  time.Duration
}

func (m *meter) start() { m.wall, m.cpu = time.Now(), cpuTime() }

func (m *meter) total() (wall, cpu float64) {
	return time.Since(m.wall).Seconds(), (cpuTime() - m.cpu).Seconds()
}

// cpuTime is user and system time of all threads; 0 where the system does not tell.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMiB is the most memory the process has had resident; 0 where unknown.
func peakMiB() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Maxrss) / 1024
}
