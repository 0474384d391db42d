package token_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"profilestream/inference/encoder/encodertest"
	"profilestream/inference/onnx"
	"profilestream/inference/token"
)

func TestMain(m *testing.M) { os.Exit(encodertest.Main(m)) }

// open uses the original tokenizer.json, which asks for padding and truncation.
func open(t *testing.T) *token.Tokenizer {
	t.Helper()
	tok, err := token.Open(encodertest.Source(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tok.Close() })
	return tok
}

func TestIDsEqualReference(t *testing.T) {
	tok := open(t)
	for _, r := range encodertest.Reference(t) {
		if got := tok.Encode(r.Text, token.MaxTokens); !slices.Equal(got, r.IDs) {
			t.Errorf("%.60q: got %v, want %v", r.Text, got, r.IDs)
		}
	}
}

// TestVocabAloneGivesTheSameIDs imports the model without its tokenizer.json.
func TestVocabAloneGivesTheSameIDs(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors", "vocab.txt"} {
		if err := os.Symlink(filepath.Join(encodertest.Source(t), name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := onnx.Import(dir, out); err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tok.Close() }()
	for _, r := range encodertest.Reference(t) {
		if got := tok.Encode(r.Text, token.MaxTokens); !slices.Equal(got, r.IDs) {
			t.Errorf("%.60q: got %v, want %v", r.Text, got, r.IDs)
		}
	}
}

func TestTruncationKeepsSep(t *testing.T) {
	tok := open(t)
	long := strings.Repeat("wool coat ", 400)
	all := tok.Encode(long, 0)
	if len(all) != token.MaxTokens {
		t.Fatalf("%d tokens, want %d", len(all), token.MaxTokens)
	}
	for limit := 2; limit <= token.MaxTokens; limit++ {
		got := tok.Encode(long, limit)
		if len(got) != limit || got[limit-1] != all[len(all)-1] || !slices.Equal(got[:limit-1], all[:limit-1]) {
			t.Fatalf("limit %d: %v", limit, got)
		}
	}
}

func TestAwkwardTexts(t *testing.T) {
	tok := open(t)
	plain := tok.Encode("red scarf", 0)
	for _, s := range []string{"red\x00 scarf", "\x00red scarf\x00", "red scarf\x00\x00"} {
		if got := tok.Encode(s, 0); !slices.Equal(got, plain) {
			t.Errorf("%q: got %v, want %v", s, got, plain)
		}
	}
	for _, s := range []string{"", "\x00", "\xff\xfe", strings.Repeat("\xf0\x9f", 10), strings.Repeat(" ", 1<<20)} {
		if got := tok.Encode(s, 0); len(got) < 2 || got[0] != plain[0] || got[len(got)-1] != plain[len(plain)-1] {
			t.Errorf("%.10q: got %v", s, got)
		}
	}
	if got := tok.Encode("无线蓝牙耳机", 0); len(got) != 8 {
		t.Errorf("six ideographs: %v, want a token each", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	tok := open(t)
	rows := encodertest.Reference(t)[:60]
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, r := range rows {
				if got := tok.Encode(r.Text, 0); !slices.Equal(got, r.IDs) {
					t.Errorf("%.60q: got %v, want %v", r.Text, got, r.IDs)
				}
			}
		})
	}
	wg.Wait()
}

func TestRefusesWhatIsNoTokenizer(t *testing.T) {
	for _, s := range []string{"", "{}", "null", `{"model":{"type":"WordPiece"}}`} {
		if tok, err := token.Parse([]byte(s)); err == nil {
			_ = tok.Close()
			t.Errorf("%q was taken for a tokenizer", s)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	tok, err := token.Open(encodertest.Source(b))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = tok.Close() }()
	b.ReportAllocs()
	for b.Loop() {
		tok.Encode("many small orders, last this week, visits often. bought Chef's Knife, Red Scarf. cart Rice Cooker. likes Kitchen & Dining", 0)
	}
}
