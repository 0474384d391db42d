package training

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMeterSumsItsStages(t *testing.T) {
	t.Parallel()
	var told []string
	m := newMeter(func(stage string, done, total int) { told = append(told, stage) })
	x := 0.0
	for _, stage := range []string{"reading", "reading", "fitting", "reading"} {
		m.step(stage, 0, 1)
		for i := range 1_000_000 {
			x += float64(i)
		}
	}
	c := m.done()
	if d := cmp.Diff([]string{"reading", "reading", "fitting", "reading"}, told); d != "" {
		t.Errorf("progress was told %s", d)
	}
	var names []string
	var seconds, cpu float64
	for _, s := range c.Stages {
		names = append(names, s.Name)
		seconds, cpu = seconds+s.Seconds, cpu+s.CPUSeconds
	}
	if d := cmp.Diff([]string{"reading", "fitting", "reading"}, names); d != "" {
		t.Errorf("stages %s", d)
	}
	if x == 0 || seconds <= 0 || seconds > c.Seconds || cpu > c.CPUSeconds || c.PeakMiB < 1 || c.Cores < 1 {
		t.Errorf("%v s and %v s of CPU in the stages of %+v", seconds, cpu, c)
	}
}
