package finetune

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Example is a text and its label.
type Example struct {
	Text, Label string
	// Group keeps examples that must not be split between training and validation
	// together, such as one customer's; empty: the example is its own.
	Group string
	// Held puts the example into validation; if any is held, no other is.
	Held bool
}

// Columns say what to read of a CSV file with a header.
type Columns struct {
	Text, Label string
	// Split names a column with train, val (validation, dev), or something else, which
	// is left out; empty: all rows are examples and validation is drawn from them.
	Split string
	// Positive, if not empty, makes the label yes where one of the columns has one of
	// the values, and no elsewhere.
	Positive map[string][]string
	// Limit is the most training examples, drawn by Seed in equal shares of labels as
	// far as they go; 0: all.
	Limit int
	Seed  uint64
}

// Labels of Columns.Positive.
const (
	Yes = "yes"
	No  = "no"
)

// ReadExamples reads a CSV file, gzipped if its name ends in .gz. Errors name the file
// and the line or the column.
func ReadExamples(path string, c Columns) ([]Example, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading examples: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		r = z
	}
	out, err := parseExamples(r, c)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return limited(out, c.Limit, c.Seed), nil
}

func parseExamples(r io.Reader, c Columns) ([]Example, error) {
	d := csv.NewReader(r)
	header, err := d.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	at, err := places(header, c)
	if err != nil {
		return nil, err
	}
	var out []Example
	for {
		row, err := d.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := d.FieldPos(0)
		e := Example{Text: row[at[c.Text]]}
		if c.Split != "" {
			switch strings.ToLower(row[at[c.Split]]) {
			case "train":
			case "val", "valid", "validation", "dev":
				e.Held = true
			default:
				continue
			}
		}
		if e.Label = label(row, at, c); e.Label == "" {
			return nil, fmt.Errorf("line %d: column %s is empty", line, c.Label)
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, errors.New("no examples")
	}
	return out, nil
}

func places(header []string, c Columns) (map[string]int, error) {
	at := map[string]int{}
	for i, h := range header {
		at[strings.TrimPrefix(h, "\uFEFF")] = i // spreadsheets begin files with a mark
	}
	need := []string{c.Text}
	if len(c.Positive) == 0 {
		need = append(need, c.Label)
	}
	for name := range c.Positive {
		need = append(need, name)
	}
	if c.Split != "" {
		need = append(need, c.Split)
	}
	for _, n := range need {
		if _, ok := at[n]; !ok {
			return nil, fmt.Errorf("no column %q; there are %s", n, strings.Join(header, ", "))
		}
	}
	return at, nil
}

func label(row []string, at map[string]int, c Columns) string {
	if len(c.Positive) == 0 {
		return strings.TrimSpace(row[at[c.Label]])
	}
	for name, values := range c.Positive {
		if slices.Contains(values, row[at[name]]) {
			return Yes
		}
	}
	return No
}

// limited keeps n training examples: of each label, in a random order, in turn.
func limited(all []Example, n int, seed uint64) []Example {
	if n <= 0 {
		return all
	}
	byLabel := map[string][]int{}
	total := 0
	for _, i := range permutation(len(all), seed, drawLimit) {
		if !all[i].Held {
			byLabel[all[i].Label] = append(byLabel[all[i].Label], i)
			total++
		}
	}
	keep := make([]bool, len(all))
	labels := sortedKeys(byLabel)
	for left := min(n, total); left > 0; {
		for _, l := range labels {
			if rest := byLabel[l]; len(rest) > 0 && left > 0 {
				keep[rest[0]], byLabel[l] = true, rest[1:]
				left--
			}
		}
	}
	var out []Example
	for i, e := range all {
		if e.Held || keep[i] {
			out = append(out, e)
		}
	}
	return out
}
