package ctl

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/cmd/internal/stage"
	"profilestream/schemas"
)

// taskColumns are the columns that --tasks adds.
type taskColumns struct {
	scorer  *stage.Scorer
	returns [][]float64 // of the rows at hand, by span
}

func (t *taskColumns) header() (names []string) {
	for _, r := range t.scorer.Bundle().Heads.Returns {
		names = append(names, fmt.Sprintf("return_%dd", r.Days))
	}
	return append(names, "next_category", "next_weight", "sentiment")
}

// read computes what the scored rows do not hold.
func (t *taskColumns) read(ctx context.Context, rows arrow.Record) (err error) {
	t.returns, err = t.scorer.Returns(ctx, rows)
	return err
}

func (t *taskColumns) row(scored arrow.Record, i int) (values []string) {
	for _, p := range t.returns {
		values = append(values, number(float32(p[i])))
	}
	interests := scored.Column(schemas.ColInterests).(*array.Map)
	category, weight := "", ""
	if lo, hi := interests.ValueOffsets(i); hi > lo { // largest first
		category = interests.Keys().(*array.String).Value(int(lo))
		weight = number(interests.Items().(*array.Float32).Value(int(lo)))
	}
	mood := ""
	if c := scored.Column(schemas.ColSentiment).(*array.Float32); c.IsValid(i) {
		mood = number(c.Value(i))
	}
	return append(values, category, weight, mood)
}
