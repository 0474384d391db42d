package finetune

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseExamples(t *testing.T) {
	const file = "split,text,intent,domain\ntrain,\"pay, please\",pay_bill,banking\nval,hello,greeting,small_talk\ntest,bye,goodbye,small_talk\ntrain,milk,shopping_list,home\n"
	for _, c := range []struct {
		name string
		c    Columns
		want []Example
	}{
		{"all rows", Columns{Text: "text", Label: "domain"}, []Example{{Text: "pay, please", Label: "banking"}, {Text: "hello", Label: "small_talk"}, {Text: "bye", Label: "small_talk"}, {Text: "milk", Label: "home"}}},
		{"split", Columns{Text: "text", Label: "domain", Split: "split"}, []Example{{Text: "pay, please", Label: "banking"}, {Text: "hello", Label: "small_talk", Held: true}, {Text: "milk", Label: "home"}}},
		{"positive", Columns{Text: "text", Split: "split", Positive: map[string][]string{"domain": {"banking"}, "intent": {"shopping_list"}}}, []Example{{Text: "pay, please", Label: Yes}, {Text: "hello", Label: No, Held: true}, {Text: "milk", Label: Yes}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseExamples(strings.NewReader(file), c.c)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReadExamplesNamesWhatIsWrong(t *testing.T) {
	c := Columns{Text: "text", Label: "label"}
	for _, k := range []struct{ name, file, want string }{
		{"a column is missing", "body,label\nx,y\n", `no column "text"; there are body, label`},
		{"an empty label", "text,label\na,b\nc,\n", "line 3: column label is empty"},
		{"a short row", "text,label\na\n", "line 2"},
		{"no rows", "text,label\n", "no examples"},
		{"nothing", "", "header"},
	} {
		t.Run(k.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "labels.csv")
			if err := os.WriteFile(path, []byte(k.file), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadExamples(path, c); err == nil || !strings.Contains(err.Error(), k.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %q and the file's name", err, k.want)
			}
		})
	}
	if _, err := ReadExamples(filepath.Join(t.TempDir(), "none.csv.gz"), c); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestReadExamplesUnzipsAndLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labels.csv.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	fmt.Fprintln(z, "text,label,split")
	for i := range 300 {
		fmt.Fprintf(z, "text %d,%s,%s\n", i, []string{"a", "a", "a", "b", "c"}[i%5], []string{"train", "val"}[i/200])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c := Columns{Text: "text", Label: "label", Split: "split", Limit: 60, Seed: 3}
	got, err := ReadExamples(path, c)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, e := range got {
		counts[fmt.Sprint(e.Label, e.Held)]++
	}
	if d := cmp.Diff(map[string]int{"afalse": 20, "bfalse": 20, "cfalse": 20, "atrue": 60, "btrue": 20, "ctrue": 20}, counts); d != "" {
		t.Error(d)
	}
	again, err := ReadExamples(path, c)
	if err != nil || cmp.Diff(got, again) != "" {
		t.Errorf("another draw with the same seed (%v)", err)
	}
}

// TestSplitKeepsGroupsAndShares draws random examples.
func TestSplitKeepsGroupsAndShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(40, 200).Draw(t, "n")
		share := rapid.Float64Range(.1, .5).Draw(t, "share")
		grouped := rapid.Bool().Draw(t, "grouped")
		seed := rapid.Uint64().Draw(t, "seed")
		examples, total := make([]Example, n), map[string]int{}
		for i := range examples {
			examples[i].Label = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "label")
			if grouped {
				examples[i].Group = fmt.Sprint(i / 3)
			}
			total[examples[i].Label]++
		}
		held, got, sides := split(examples, share, seed), map[string]int{}, map[string]bool{}
		for i, e := range examples {
			if held[i] {
				got[e.Label]++
			}
			if side, ok := sides[e.Group]; ok && grouped && side != held[i] {
				t.Fatalf("group %s is split", e.Group)
			}
			sides[e.Group] = held[i]
		}
		if grouped {
			return
		}
		for l, all := range total {
			if want := int(share*float64(all) + .5); got[l] != want {
				t.Errorf("label %s: %d of %d held, want %d", l, got[l], all, want)
			}
		}
	})
}

func TestLoadRefuses(t *testing.T) {
	tok, err := openTokenizer(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tok.Close() }()
	o := Options{}
	if err := o.defaults(); err != nil {
		t.Fatal(err)
	}
	many := make([]Example, maxClasses+1)
	for i := range many {
		many[i].Label = fmt.Sprint(i)
	}
	for name, c := range map[string]struct {
		examples []Example
		want     string
	}{
		"one label":        {[]Example{{Label: "a"}, {Label: "a"}}, "at least 2"},
		"a label each":     {many, "column of labels"},
		"nothing to learn": {[]Example{{Label: "a", Held: true}, {Label: "b", Held: true}}, "training and validation"},
	} {
		if _, err := load(c.examples, tok, &o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func TestOptionsNameWhatIsOutOfRange(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Epochs: -1}, "epochs"}, {Options{Batch: -3}, "batch"}, {Options{Rate: 2}, "learning rate"},
		{Options{MaxLength: 2000}, "max length"}, {Options{ValShare: 1}, "validation share"},
	} {
		if err := c.o.defaults(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.o, err, c.want)
		}
	}
}

func TestMetrics(t *testing.T) {
	c := confusion{{8, 2}, {1, 4}}
	m := c.metrics([]string{"no", "yes"}, 1, .5)
	want := Metrics{Loss: .5, Accuracy: 12. / 15, Recall: .8, F1: 8. / 11}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
	three := confusion{{1, 0, 0}, {0, 0, 1}, {0, 0, 2}}
	if m := three.metrics([]string{"a", "b", "c"}, 1, 0); m.Recall != (1.+0+1)/3 || m.Accuracy != .75 {
		t.Errorf("three classes: %+v", m)
	}
}
