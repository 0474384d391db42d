package ctl

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"profilestream/cmd/internal/stage"
	"profilestream/inference/heads"
	"profilestream/inference/score"
)

// intervalColumns are the intervals of value, one a coverage.
type intervalColumns struct {
	scorer *stage.Scorer
	ranges [][]score.Interval // by coverage, then by row
}

func (c *intervalColumns) header() (names []string) {
	for _, p := range heads.Coverages {
		names = append(names, fmt.Sprintf("value_low_%.0f", 100*p), fmt.Sprintf("value_high_%.0f", 100*p))
	}
	return names
}

func (c *intervalColumns) read(ctx context.Context, rows arrow.Record) error {
	c.ranges = c.ranges[:0]
	for _, p := range heads.Coverages {
		r, err := c.scorer.Intervals(ctx, rows, p)
		if err == nil && r == nil {
			err = fmt.Errorf("--intervals: bundle %s has none of %.0f %%: train it anew", c.scorer.Bundle().Dir, 100*p)
		}
		if err != nil {
			return err
		}
		c.ranges = append(c.ranges, r)
	}
	return nil
}

func (c *intervalColumns) row(_ arrow.Record, i int) (cells []string) {
	for _, r := range c.ranges {
		cells = append(cells, number(float32(r[i].Low)), number(float32(r[i].High)))
	}
	return cells
}
