package embed_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"profilestream/inference/embed"
	"profilestream/inference/encoder"
	"profilestream/inference/encoder/encodertest"
	"profilestream/inference/text"
	"profilestream/inference/token"
	"profilestream/schemas"
)

func TestMain(m *testing.M) { os.Exit(encodertest.Main(m)) }

func open(tb testing.TB, cfg embed.Config) *embed.Embedder {
	tb.Helper()
	tok, err := token.Open(encodertest.Dir(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = tok.Close() })
	e, err := embed.New(cfg, tok, encodertest.Open(tb, encoder.Auto, encoder.Auto, 2))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// TestAnyCompositionGivesTheSameBits embeds texts alone and in random company, with and
// without a cache, under several budgets.
func TestAnyCompositionGivesTheSameBits(t *testing.T) {
	var texts []string
	for _, r := range encodertest.Reference(t) {
		if len(r.IDs) < 60 {
			texts = append(texts, r.Text)
		}
	}
	texts = texts[:48]
	alone := open(t, embed.Config{})
	want := make([][]float32, len(texts))
	for i, s := range texts {
		v, err := alone.Embed(t.Context(), []string{s})
		if err != nil {
			t.Fatal(err)
		}
		want[i] = v[0]
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 3 {
		e := open(t, embed.Config{BatchTokens: 128 << r.IntN(6), CacheMiB: r.IntN(2)})
		for rest := r.Perm(len(texts)); len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			some := make([]string, n)
			for i, j := range rest[:n] {
				some[i] = texts[j]
			}
			got, err := e.Embed(t.Context(), some)
			if err != nil {
				t.Fatal(err)
			}
			for i, j := range rest[:n] {
				if !slices.Equal(got[i], want[j]) {
					t.Errorf("text %d among %d differs from itself alone", j, n)
				}
			}
			rest = rest[n:]
		}
	}
}

// TestUsersStayApart: texts share their vocabulary of status words, and must still give
// users different vectors.
func TestUsersStayApart(t *testing.T) {
	products := [][2]string{{"Desk Lamp", "Home"}, {"Chef's Knife", "Kitchen"}, {"无线蓝牙耳机", "数码电子"}, {"Dog Leash", "Pets"}, {"Yoga Mat", "Sports"}, {"Green Tea", "Food"}}
	const users = 24
	texts := make([]string, users)
	for i := range texts {
		w := text.Window{AsOfMillis: 1, Orders: int64(i % 5), DaysSinceLastOrder: int64(i * 7), DaysSinceLastEvent: int64(i * 3), ActiveDays90: int64(i), RevenueMicros: 1e8}
		for j := range 1 + i%3 {
			p := products[(i+j*j)%len(products)]
			w.Recent = append(w.Recent, text.Item{Kind: schemas.RecentPurchase - uint8(i%2), ID: fmt.Sprint(j), Name: p[0], Category: p[1]})
		}
		texts[i] = text.Render(&w)
	}
	v, err := open(t, embed.Config{}).Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	sum, pairs := 0.0, 0
	for i := range v {
		for j := range i {
			for k := range v[i] {
				sum += float64(v[i][k]) * float64(v[j][k])
			}
			pairs++
		}
	}
	t.Logf("mean pairwise cosine %.3f", sum/float64(pairs))
	if mean := sum / float64(pairs); mean > 0.9 {
		t.Errorf("mean pairwise cosine %.3f, want below 0.9", mean)
	}
}
