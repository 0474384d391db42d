package embed_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"profilestream/inference/embed"
	"profilestream/inference/encoder"
	"profilestream/inference/encoder/encodertest"
	"profilestream/inference/token"
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
