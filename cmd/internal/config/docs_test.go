package config

import (
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryKeyIsDocumented holds docs/configuration.md to the keys and their
// defaults: a row for each key, and no name of a key that there is not.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults := map[string]string{} // as written in the row of a key
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|[^|]*\\| (?:`([^`]*)` )?\\|.*\\|$").FindAllStringSubmatch(string(text), -1) {
		if _, twice := defaults[row[1]]; twice {
			t.Errorf("%s has two rows", row[1])
		}
		defaults[row[1]] = row[2]
	}
	c := Default()
	have, keys := map[string]bool{}, c.Keys()
	walk(reflect.ValueOf(&c).Elem(), "", func(key string, _ reflect.Value) {
		have[key] = true
		written, ok := defaults[key]
		switch {
		case !ok:
			t.Errorf("%s has no row", key)
		case written == "":
			if keys[key] != "" {
				t.Errorf("the row of %s has no default, it is %s", key, keys[key])
			}
		default:
			got, err := LoadWith("", nil, map[string]string{key: written})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&c, got); d != "" {
				t.Errorf("the default of %s is not %s: %s", key, written, d)
			}
		}
	})
	for key := range defaults {
		if !have[key] {
			t.Errorf("%s has a row and is no key", key)
		}
	}
	for _, name := range regexp.MustCompile("`([a-z]+)((?:\\.[a-z_]+)+)`").FindAllStringSubmatch(string(text), -1) {
		if key := name[1] + name[2]; isSection(name[1]) && !have[key] {
			t.Errorf("%s is named and is no key", key)
		}
	}
}
