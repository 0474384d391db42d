package text

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"profilestream/schemas"
)

const noon = int64(20000*dayMillis + dayMillis/2)

func item(kind uint8, daysAgo int64, name, category string) Item {
	return Item{Kind: kind, AtMillis: noon - daysAgo*dayMillis, ID: "id-" + name, Name: name, Category: category}
}

// TestGolden fixes the rendering: a change here is a new Version.
func TestGolden(t *testing.T) {
	if Version != "text/1" {
		t.Fatal("the golden texts belong to text/1")
	}
	for _, c := range []struct {
		name string
		w    Window
		want string
	}{
		{"first visit", Window{ActiveDays90: 1}, "new, no orders, visits rarely"},
		{"long gone", Window{DaysSinceFirstEvent: 900, DaysSinceLastEvent: 800}, "no orders, gone"},
		{"regular", Window{
			Orders: 6, RevenueMicros: 180 * micros, DaysSinceFirstEvent: 200, DaysSinceLastOrder: 3, ActiveDays90: 12, Orders365: 6,
			Recent: []Item{
				item(schemas.RecentPurchase, 40, "Tea Kettle", "Kitchen & Dining"), item(schemas.RecentPurchase, 3, "Red Scarf", "Fashion"),
				item(schemas.RecentPurchase, 3, "Chef's Knife", "Kitchen & Dining"), item(schemas.RecentView, 0, "Lip Balm", "Beauty"),
				item(schemas.RecentCart, 1, "Rice Cooker", "Kitchen & Dining"), item(schemas.RecentSearch, 0, "rice cooker", ""),
			},
		}, "many small orders, last this week, visits often. bought Chef's Knife, Red Scarf, Tea Kettle. cart Rice Cooker. likes Fashion, Kitchen & Dining"},
		{"returns, feedback", Window{
			Orders: 1, RevenueMicros: 0, DaysSinceFirstEvent: 40, DaysSinceLastEvent: 9, DaysSinceLastOrder: 30, Orders365: 1, Refunds365: 1,
			Feedback: "The zip\nbroke within a week,\x00 very disappointed with all of it",
		}, "one tiny order, last this month, mostly returns, quiet for weeks. says The zip broke within a week"},
		{"chinese", Window{
			Orders: 12, RevenueMicros: 4000 * micros, DaysSinceFirstEvent: 400, DaysSinceLastEvent: 60, DaysSinceLastOrder: 60, Orders365: 12, Refunds365: 1,
			Recent: []Item{item(schemas.RecentPurchase, 60, "无线蓝牙耳机", "数码电子"), item(schemas.RecentSearch, 60, "儿童雨衣推荐", "")},
		}, "very many large orders, last this season, some returns, quiet for months. bought 无线蓝牙耳机. wants 儿童雨衣推荐. likes 数码电子"},
		{"search without cart, cart already bought", Window{
			Orders: 1, RevenueMicros: 50 * micros, DaysSinceFirstEvent: 40, DaysSinceLastOrder: 1, ActiveDays90: 40, Orders365: 1,
			Recent: []Item{
				item(schemas.RecentPurchase, 1, "Desk Lamp", "Home"), item(schemas.RecentCart, 1, "Desk Lamp", "Home"),
				item(schemas.RecentSearch, 2, "floor lamp", ""), item(schemas.RecentSearch, 1, "light bulbs warm white e27 cheap", ""),
			},
		}, "one medium order, last this week, visits daily. bought Desk Lamp. wants light bulbs warm white. likes Home"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.w.AsOfMillis = noon
			if got := Render(&c.w); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func drawWindow(t *rapid.T) Window {
	count := func(name string, most int64) int64 { return rapid.Int64Range(0, most).Draw(t, name) }
	w := Window{
		AsOfMillis: noon + count("as_of", 1<<40), Orders: count("orders", 1<<20), RevenueMicros: rapid.Int64().Draw(t, "revenue"),
		DaysSinceFirstEvent: count("first", 9000), DaysSinceLastEvent: count("last", 9000), DaysSinceLastOrder: count("order", 9000),
		ActiveDays90: count("active", 90), Orders365: count("orders365", 1000), Refunds365: count("refunds365", 1000),
	}
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "desk lamp", "台灯", "a\xffb\x00c", strings.Repeat("x", 500), strings.Repeat("雨", 300)}))
	for range rapid.IntRange(0, 20).Draw(t, "items") {
		w.Recent = append(w.Recent, Item{
			Kind: rapid.Uint8Range(0, 9).Draw(t, "kind"), AtMillis: w.AsOfMillis - count("age", 100*dayMillis),
			ID: text.Draw(t, "id"), Name: text.Draw(t, "name"), Category: text.Draw(t, "category"),
		})
	}
	w.Feedback, w.FeedbackAtMillis = text.Draw(t, "feedback"), w.AsOfMillis
	return w
}

func TestOneLineOfBoundedLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindow(t)
		s := Render(&w)
		if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || s == "" {
			t.Fatalf("text %q", s)
		}
		if n := estimate(s) + 2; n > Budget {
			t.Fatalf("text %q has about %d tokens", s, n)
		}
	})
}

func TestOrderOfListsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindow(t)
		want := Render(&w)
		w.Recent = rapid.Permutation(w.Recent).Draw(t, "order")
		if got := Render(&w); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestFutureIsNotRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindow(t)
		w.Feedback = ""
		want := Render(&w)
		w.Recent = append(w.Recent, Item{Kind: schemas.RecentPurchase, AtMillis: w.AsOfMillis + 1, Name: "future", Category: "future"})
		w.Feedback, w.FeedbackAtMillis = "future", w.AsOfMillis+1
		if got := Render(&w); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// TestSilenceSeldomChangesText walks a year of silence after a last purchase.
func TestSilenceSeldomChangesText(t *testing.T) {
	w := Window{Orders: 5, RevenueMicros: 200 * micros, DaysSinceFirstEvent: 100, ActiveDays90: 20, Orders365: 5,
		Recent: []Item{item(schemas.RecentPurchase, 0, "Desk Lamp", "Home")}, AsOfMillis: noon}
	changes, last := 0, Render(&w)
	for range 365 {
		w.AsOfMillis += dayMillis
		w.DaysSinceFirstEvent++
		w.DaysSinceLastEvent++
		w.DaysSinceLastOrder++
		if s := Render(&w); s != last {
			changes, last = changes+1, s
		}
	}
	if changes > 3 {
		t.Errorf("text changed %d times in a silent year, want at most 3", changes)
	}
}

// TestViewsSeldomChangeText browses the same few categories for a while.
func TestViewsSeldomChangeText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	w := Window{ActiveDays90: 5, DaysSinceFirstEvent: 60, AsOfMillis: noon}
	changes, last := 0, ""
	const views = 1000
	for i := range views {
		c := []string{"Home", "Home", "Home", "Garden", "Toys"}[r.IntN(5)]
		w.AsOfMillis += 60_000
		w.Recent = append(w.Recent, Item{Kind: schemas.RecentView, AtMillis: w.AsOfMillis, ID: fmt.Sprint(i), Name: fmt.Sprint("product ", i), Category: c})
		w.Recent = w.Recent[max(0, len(w.Recent)-6):]
		if s := Render(&w); s != last {
			changes, last = changes+1, s
		}
	}
	if changes > views/3 {
		t.Errorf("text changed %d times in %d views", changes, views)
	}
	t.Logf("%d changes in %d views", changes, views)
}

func TestProduct(t *testing.T) {
	for _, c := range [][3]string{
		{"Desk Lamp", "Home", "Desk Lamp, Home"}, {"", "Home", "Home"}, {"Desk Lamp", "", "Desk Lamp"}, {"", "", ""},
	} {
		if got := Product(c[0], c[1]); got != c[2] {
			t.Errorf("Product(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
