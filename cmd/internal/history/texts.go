package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"

	"profilestream/inference/train"
	"profilestream/profile"
)

// maxCategoryProducts is how many product names describe a category.
const maxCategoryProducts = 24

// Catalogue lists the categories that the events name, with names of their
// products, both in order.
func (h *History) Catalogue() ([]train.Category, error) {
	names := map[string]map[string]bool{}
	add := func(p *profile.Product) {
		if len(p.Category) == 0 {
			return
		}
		c := names[string(p.Category)]
		if c == nil {
			c = map[string]bool{}
			names[string(p.Category)] = c
		}
		if len(p.Name) > 0 {
			c[string(p.Name)] = true
		}
	}
	err := h.each(func(e *profile.Event) {
		add(&e.Product)
		for i := range e.Items {
			add(&e.Items[i])
		}
	})
	if err != nil {
		return nil, err
	}
	out := make([]train.Category, 0, len(names))
	for name, products := range names {
		c := train.Category{Name: name}
		for p := range products {
			c.Products = append(c.Products, p)
		}
		sort.Strings(c.Products)
		c.Products = c.Products[:min(len(c.Products), maxCategoryProducts)]
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// Feedback pairs the feedback texts with the moods of a truth file: one JSON
// object a line with event_id and sentiment in -1..1. Without the file there
// are none. Moods near zero teach nothing and are left out.
func (h *History) Feedback(truth string) ([]train.Labelled, error) {
	f, err := os.Open(truth)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the moods of feedback: %w", err)
	}
	defer f.Close()
	moods := map[string]float64{}
	err = eachLine(f, func(b []byte) error {
		var l struct {
			EventID   string  `json:"event_id"`
			Sentiment float64 `json:"sentiment"`
		}
		if err := json.Unmarshal(b, &l); err != nil {
			return err
		}
		moods[l.EventID] = l.Sentiment
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", truth, err)
	}
	var out []train.Labelled
	seen := map[string]bool{}
	err = h.each(func(e *profile.Event) {
		mood, ok := moods[string(e.ID)]
		if e.Type != profile.TypeFeedback || !ok || seen[string(e.ID)] || mood > -.1 && mood < .1 {
			return
		}
		seen[string(e.ID)] = true
		out = append(out, train.Labelled{Text: string(e.Text), Positive: mood > 0})
	})
	return out, err
}

// each decodes every event, by time.
func (h *History) each(fn func(e *profile.Event)) error {
	h.sorted()
	var r profile.Record
	for i := range h.events {
		if err := profile.DecodeRecord(h.text[h.events[i].from:h.events[i].to], &r); err != nil {
			return err
		}
		fn(&r.Event)
	}
	return nil
}
