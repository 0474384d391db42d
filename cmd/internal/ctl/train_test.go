package ctl

import (
	"errors"
	"testing"
	"time"

	"profilestream/cmd/internal/training"
)

func TestParseSearch(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]struct {
		trials int
		time   time.Duration
		wrong  bool
	}{
		"":      {},
		"40":    {trials: 40},
		"2m":    {time: 2 * time.Minute},
		"1h30m": {time: 90 * time.Minute},
		"0":     {wrong: true},
		"-3":    {wrong: true},
		"-2m":   {wrong: true},
		"long":  {wrong: true},
	} {
		var o training.Options
		err := parseSearch(s, &o)
		if errors.Is(err, errUsage) != want.wrong || !want.wrong && (o.SearchTrials != want.trials || o.SearchTime != want.time) {
			t.Errorf("%q gave %d trials, %s, %v", s, o.SearchTrials, o.SearchTime, err)
		}
	}
}
