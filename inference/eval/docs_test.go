package eval

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestDocsNameEveryField holds docs/evaluation.md to the fields of
// evaluation.json and cost.json.
func TestDocsNameEveryField(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/evaluation.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{}
	var walk func(k reflect.Type)
	walk = func(k reflect.Type) {
		switch k.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(k.Elem())
		case reflect.Struct:
			if seen[k] {
				return
			}
			seen[k] = true
			for i := range k.NumField() {
				f := k.Field(i)
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if !strings.Contains(string(doc), "`"+name+"`") {
					t.Errorf("field %s of %s is not in docs/evaluation.md", name, k.Name())
				}
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Report]())
	walk(reflect.TypeFor[Cost]())
}
