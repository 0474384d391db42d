package schemas

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
)

func TestColumnPositionsMatchTheSchemas(t *testing.T) {
	if len(Features) != NumFeatures {
		t.Fatalf("%d features, want %d", len(Features), NumFeatures)
	}
	for _, c := range []struct {
		schema *arrow.Schema
		col    int
		name   string
	}{
		{WindowRows, ColFlags, "flags"},
		{WindowRows, ColFeatures, "page_views_1h"},
		{WindowRows, ColFeatures + At(Window365d, Sessions), "sessions_365d"},
		{WindowRows, ColFeatures + Life(MeanOrderGapDays), "mean_order_gap_days"},
		{WindowRows, ColRecent, "recent"},
		{WindowRows, NumWindowColumns - 1, "feedback_at"},
		{ScoredRows, ColFeatures + Life(FirstSeen), "first_seen"},
		{ScoredRows, ColEmbedding, "embedding"},
		{ScoredRows, NumScoredColumns - 1, "scored_at"},
		{AccountingRows, NumAccountingColumns - 1, "watermark"},
	} {
		if got := c.schema.Field(c.col).Name; got != c.name {
			t.Errorf("column %d is %q, want %q", c.col, got, c.name)
		}
	}
	if WindowRows.NumFields() != NumWindowColumns || ScoredRows.NumFields() != NumScoredColumns || AccountingRows.NumFields() != NumAccountingColumns {
		t.Fatal("a schema has more or fewer fields than positions")
	}
	seen := map[string]bool{}
	for _, f := range Features {
		if seen[f.Name] {
			t.Errorf("feature %s is listed twice", f.Name)
		}
		seen[f.Name] = true
	}
}

func TestFeatureHashIsStable(t *testing.T) {
	const want = "37b5ebdc91b6cf32"
	if got := FeatureHash(); got != want {
		t.Fatalf("feature hash %s, want %s: a change of the list needs a migration", got, want)
	}
}
