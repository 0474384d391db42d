package ctl

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// bar is a progress bar that names the stage at work. It starts anew with each
// stage.
type bar struct {
	w     io.Writer
	stage string
	b     *progressbar.ProgressBar
}

// step shows a stage's progress; total may be an estimate.
func (p *bar) step(stage string, done, total int) {
	if p.stage != stage {
		p.done()
		p.stage = stage
		p.b = progressbar.NewOptions(max(total, 1), progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(stage),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(200*time.Millisecond))
	}
	if done > p.b.GetMax() || total != p.b.GetMax() {
		p.b.ChangeMax(max(total, done, 1))
	}
	_ = p.b.Set(done) // a bar that cannot be drawn is no reason to stop
}

// done ends the line of the stage at work.
func (p *bar) done() {
	if p.b != nil {
		_ = p.b.Finish()
		_, _ = io.WriteString(p.w, "\n")
		p.b = nil
	}
}
