package score

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/inference/features"
	"profilestream/inference/heads"
	"profilestream/schemas"
)

// eachMood calls f for every text whose mood is a score or an input, with the
// place that its mood belongs to.
func (w *work) eachMood(f func(text string, mood *float32)) {
	if w.s.model.Sentiment == nil {
		return
	}
	for i := range w.rows {
		if w.back.IsValid(i) {
			f(w.back.Value(i), &w.moods[i])
		}
		if w.s.model.Moods {
			if k := w.newestSearch(i); k >= 0 {
				f(w.recent.name.Value(k), &w.asked[i])
			}
		}
	}
}

// newestSearch is the entry of a row's newest search; -1 without one. Entries of
// a kind are listed newest first.
func (w *work) newestSearch(i int) int {
	lo, hi := w.recent.list.ValueOffsets(i)
	for k := int(lo); k < int(hi); k++ {
		if w.recent.kind[k] == schemas.RecentSearch {
			return k
		}
	}
	return -1
}

// wantMoods takes moods from the memory and asks for the embedding of each text
// that is new, once.
func (w *work) wantMoods() {
	w.eachMood(func(t string, mood *float32) {
		if m, ok := w.s.moods.get(t); ok {
			*mood = m
			return
		}
		if _, ok := w.newMoods[t]; ok {
			return
		}
		t = strings.Clone(t)
		w.newMoods[t] = 0
		w.want(t, func(v []float32) {
			m := w.s.model.Sentiment.Mood(v)
			w.newMoods[t] = m
			w.s.moods.put(t, m)
		})
	})
}

func (w *work) fillMoods() {
	if len(w.newMoods) == 0 {
		return
	}
	w.eachMood(func(t string, mood *float32) {
		if m, ok := w.newMoods[t]; ok {
			*mood = m
		}
	})
}

// read writes what the encoder reads of row i behind the numeric inputs of x.
func (w *work) read(x []float32, i int) {
	x = x[len(features.Inputs):]
	n := copy(x, w.user[i].components)
	if !w.s.model.Moods {
		return
	}
	x = x[n:]
	clear(x)
	asOf := w.rec.Column(schemas.ColAsOf).(*array.Timestamp).Value(i)
	if w.back.IsValid(i) && w.backAt.IsValid(i) && w.back.Value(i) != "" {
		x[heads.MoodFeedback] = heads.MoodInput(w.moods[i], float64(asOf-w.backAt.Value(i))/dayMillis)
	}
	if k := w.newestSearch(i); k >= 0 {
		x[heads.MoodSearch] = heads.MoodInput(w.asked[i], float64(asOf-w.recent.at[k])/dayMillis)
	}
}
