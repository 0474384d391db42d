package simulate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestTextsTellWhatCountsDoNot follows customers: the category of the newest
// search foretells that of the next purchase better than that of the newest view,
// and who asks about returns and refunds leaves more often.
func TestTextsTellWhatCountsDoNot(t *testing.T) {
	o := smallOptions()
	o.Users, o.Events, o.Days, o.Poison = 600, 60_000, 60, 0
	s, all := collect(t, o)
	categoryOf := map[string]string{}
	for _, d := range s.catalogue.categories {
		for lang := range 2 {
			categoryOf[strings.ToLower(d.name[lang])] = d.name[english]
			for _, n := range d.nouns {
				categoryOf[strings.ToLower(n[lang])] = d.name[english]
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Event) int { return int(a.TimeMillis - b.TimeMillis) })
	searched, viewed, sadly := map[string]string{}, map[string]string{}, map[string]bool{}
	purchases, bySearch, byView := 0, 0, 0
	for _, e := range all {
		var v struct {
			Query   string
			Product struct{ Category string }
			Items   []struct{ Category string }
		}
		if e.Kind == KindDuplicate || json.Unmarshal(e.Value, &v) != nil {
			continue
		}
		switch e.Type {
		case "search":
			q := strings.TrimSuffix(strings.TrimSuffix(v.Query, " in stock"), " for a friend")
			q = strings.TrimPrefix(strings.TrimPrefix(q, "best "), "cheap ")
			if c, ok := categoryOf[q]; ok {
				searched[e.User] = c
			}
			sadly[e.User] = slices.Contains(serviceQueries[english][sad], v.Query) || slices.Contains(serviceQueries[chinese][sad], v.Query)
		case "page_view":
			// A session begins: what was seen in the one before counts from here.
			viewed[e.User+" before"] = viewed[e.User]
		case "product_view":
			viewed[e.User] = v.Product.Category
		case "purchase":
			before := viewed[e.User+" before"]
			if searched[e.User] == "" || before == "" {
				continue
			}
			purchases++
			if searched[e.User] == v.Items[0].Category {
				bySearch++
			}
			if before == v.Items[0].Category {
				byView++
			}
		}
	}
	t.Logf("%d purchases: the newest search foretells %d, the newest view of an earlier session %d", purchases, bySearch, byView)
	if purchases < 300 || bySearch < byView*5/4 {
		t.Errorf("of %d purchases the newest search foretells %d, the newest view %d", purchases, bySearch, byView)
	}
	var asked, left, others, othersLeft int
	if err := s.Truth(func(u Truth) error {
		gone := 0
		if !u.DroppedOut.IsZero() {
			gone = 1
		}
		if sadly[u.User] {
			asked++
			left += gone
		} else {
			others++
			othersLeft += gone
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d with an unhappy newest search left, %d of %d others", left, asked, othersLeft, others)
	if asked < 30 || left*others*10 < othersLeft*asked*12 {
		t.Errorf("%d of %d with an unhappy newest search left, %d of %d others: no signal", left, asked, othersLeft, others)
	}
}
