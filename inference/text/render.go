package text

import (
	"cmp"
	"slices"
	"strings"

	"profilestream/schemas"
)

// Budget is the estimated number of tokens of a text at most, [CLS] and [SEP] included:
// three times the encoder's padding multiple.
const Budget = 48

// Window is what a text is made of: a row without its user.
type Window struct {
	AsOfMillis          int64
	Orders              int64 // whole life
	RevenueMicros       int64 // whole life, purchases minus refunds
	DaysSinceFirstEvent int64
	DaysSinceLastEvent  int64
	DaysSinceLastOrder  int64 // unused without orders
	ActiveDays90        int64
	Orders365           int64
	Refunds365          int64
	Recent              []Item // any order
	Feedback            string // newest; empty without
	FeedbackAtMillis    int64
}

// Item is an entry of the row's recent lists.
type Item struct {
	Kind     uint8 // schemas.Recent*
	AtMillis int64
	ID       string
	Name     string // product name, or the query of a search
	Category string
}

// padding is the encoder's multiple of tokens.
const padding = 16

// Numbers, words and tokens of parts at most.
const (
	maxBought, maxCategories      = 4, 2
	nameWords, nameTokens         = 5, 8
	queryWords, queryTokens       = 4, 7
	feedbackWords, feedbackTokens = 8, 8
	categoryWords, categoryTokens = 3, 6
)

// part is a candidate of the text: section decides its place, the order of candidates
// who gets in when the budget is short.
type part struct {
	section int
	words   string
}

const (
	sectionBought = iota
	sectionCart
	sectionSearch
	sectionFeedback
	sectionCategory
	sections
)

// labels tell the encoder what a name is.
var labels = [sections]string{"bought ", "cart ", "wants ", "says ", "likes "}

// Render returns the text of w.
func Render(w *Window) string {
	head := strings.Join(status(w), ", ")
	t := &draft{used: 2 + estimate(head)}
	first, more := candidates(w)
	for _, p := range first {
		t.add(p, Budget)
	}
	// The rest may only use what padding would waste: it costs the encoder nothing.
	limit := min(Budget, (t.used+padding-1)/padding*padding)
	for _, p := range more {
		t.add(p, limit)
	}
	var b strings.Builder
	b.WriteString(head)
	for s, words := range t.chosen {
		if len(words) > 0 {
			b.WriteString(". ")
			b.WriteString(labels[s])
			b.WriteString(strings.Join(words, ", "))
		}
	}
	return b.String()
}

// draft collects the parts of a text and their estimated tokens.
type draft struct {
	used   int
	chosen [sections][]string
}

func (t *draft) add(p part, limit int) {
	cost := estimate(p.words) + 1 // the comma, or the full stop
	if len(t.chosen[p.section]) == 0 {
		cost += estimate(labels[p.section])
	}
	if p.words == "" || t.used+cost > limit || slices.Contains(t.chosen[p.section], p.words) {
		return
	}
	t.used += cost
	t.chosen[p.section] = append(t.chosen[p.section], p.words)
}

// candidates lists the parts by importance: first what was bought, is liked, said and
// in mind (an open cart, else a search), then more names.
func candidates(w *Window) (first, more []part) {
	lists := byKind(w)
	bought := names(lists[schemas.RecentPurchase], nil)
	cart := names(lists[schemas.RecentCart], lists[schemas.RecentPurchase])
	for i, s := range bought {
		if i == 0 {
			first = append(first, part{sectionBought, s})
		} else if i < maxBought {
			more = append(more, part{sectionBought, s})
		}
	}
	for _, s := range categories(w) {
		first = append(first, part{sectionCategory, s})
	}
	if len(cart) > 0 {
		first = append(first, part{sectionCart, cart[0]})
	} else if q := lists[schemas.RecentSearch]; len(q) > 0 {
		first = append(first, part{sectionSearch, clip(q[0].Name, queryWords, queryTokens)})
	}
	if w.Feedback != "" && w.FeedbackAtMillis <= w.AsOfMillis {
		first = append(first, part{sectionFeedback, clip(w.Feedback, feedbackWords, feedbackTokens)})
	}
	return first, more
}

// byKind splits the entries up to as_of, newest day first and by name within a day. By
// day, because a busy session would else move the list with each click: with names in
// order a new one takes the first place only if it sorts first.
func byKind(w *Window) [schemas.RecentAdClick + 1][]*Item {
	var out [schemas.RecentAdClick + 1][]*Item
	for i := range w.Recent {
		it := &w.Recent[i]
		if int(it.Kind) < len(out) && it.AtMillis <= w.AsOfMillis {
			out[it.Kind] = append(out[it.Kind], it)
		}
	}
	for _, l := range out {
		slices.SortFunc(l, func(a, b *Item) int {
			return cmp.Or(cmp.Compare(b.day(), a.day()), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Category, b.Category))
		})
	}
	return out
}

func (it *Item) day() int64 {
	d := it.AtMillis / dayMillis
	if it.AtMillis%dayMillis < 0 {
		d--
	}
	return d
}

// names gives the distinct product names of list that are not in without.
func names(list, without []*Item) []string {
	var out []string
	for _, it := range list {
		if it.Name == "" || slices.ContainsFunc(without, func(o *Item) bool { return o.Name == it.Name }) {
			continue
		}
		if s := clip(it.Name, nameWords, nameTokens); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Weights of an entry for its category, and what makes a category worth a word: a
// purchase, two carts, or half of the views.
var categoryWeights = [...]int{schemas.RecentView: 1, schemas.RecentCart: 2, schemas.RecentPurchase: 3}

const categoryThreshold = 3

// categories gives the two categories with most weight among views, carts and purchases,
// in alphabetical order. Those lighter than the threshold are left out: one more view then
// seldom changes the two.
func categories(w *Window) []string {
	weights := map[string]int{}
	for i := range w.Recent {
		it := &w.Recent[i]
		if it.Category != "" && it.AtMillis <= w.AsOfMillis && int(it.Kind) < len(categoryWeights) {
			weights[it.Category] += categoryWeights[it.Kind]
		}
	}
	var out []string
	for c, n := range weights {
		if n >= categoryThreshold {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(weights[b], weights[a]), cmp.Compare(a, b))
	})
	out = out[:min(maxCategories, len(out))]
	slices.Sort(out)
	for i := range out {
		out[i] = clip(out[i], categoryWords, categoryTokens)
	}
	return out
}

// Product returns the text of a product alone, for its own embedding.
func Product(name, category string) string {
	name, category = clip(name, nameWords, 10), clip(category, categoryWords, categoryTokens)
	switch {
	case name == "":
		return category
	case category == "":
		return name
	}
	return name + ", " + category
}
