package train

import (
	"context"

	"profilestream/inference/heads"
	"profilestream/inference/text"
	"profilestream/schemas"
)

// readMoods gives every row the moods of its newest feedback and its newest
// search. A text that taught the head for sentiment has the mood told without it,
// so that the moods of training are as good as those of serving; nil without such
// a head.
func (t *tasks) readMoods(ctx context.Context, unseen map[string]float32) ([][heads.NumMoods]float32, error) {
	if t.sentiment == nil {
		return nil, nil
	}
	type spot struct {
		row, input int
		ageDays    float64
	}
	out := make([][heads.NumMoods]float32, t.s.n)
	spots := map[string][]spot{}
	var texts []string
	add := func(words string, row, input int, millis int64) {
		if _, ok := spots[words]; !ok {
			texts = append(texts, words)
		}
		spots[words] = append(spots[words], spot{row, input, float64(millis) / dayMillis})
	}
	i := 0
	for _, rec := range t.d.Rows {
		r := text.NewRows()
		if err := r.Bind(rec); err != nil {
			return nil, err
		}
		var w text.Window
		for k := range int(rec.NumRows()) {
			r.Window(k, &w)
			if w.Feedback != "" {
				add(w.Feedback, i, heads.MoodFeedback, w.AsOfMillis-w.FeedbackAtMillis)
			}
			for _, it := range w.Recent {
				if it.Kind == schemas.RecentSearch {
					add(it.Name, i, heads.MoodSearch, w.AsOfMillis-it.AtMillis)
					break
				}
			}
			i++
		}
	}
	v, err := embed(ctx, t.o, texts, func(n int) { t.o.Progress("embedding feedback and searches", n, len(texts)) })
	if err != nil {
		return nil, err
	}
	for k, words := range texts {
		mood, ok := unseen[words]
		if !ok {
			mood = t.sentiment.Mood(v[k])
		}
		for _, s := range spots[words] {
			out[s.row][s.input] = heads.MoodInput(mood, s.ageDays)
		}
	}
	return out, nil
}
