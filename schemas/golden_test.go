package schemas

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// eventSchema compiles the JSON Schema of a topic.
func eventSchema(t *testing.T, topic string) *jsonschema.Schema {
	t.Helper()
	text, err := EventSchemas.ReadFile("events/" + topic + ".json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(topic+".json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(topic + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGoldenEventsFitTheirJSONSchema(t *testing.T) {
	schemas := map[string]*jsonschema.Schema{
		"clickstream": eventSchema(t, "clickstream"), "purchases": eventSchema(t, "purchases"),
	}
	for _, g := range GoldenEvents() {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(g.Value))
		if err == nil {
			err = schemas[g.Topic].Validate(doc)
		}
		if err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
	}
}

// TestPoisonDoesNotFitItsJSONSchema: but for the rules that a schema cannot say, which are
// counted here by class, so that the schemas and the contract do not drift apart.
func TestPoisonDoesNotFitItsJSONSchema(t *testing.T) {
	beyond := map[string]bool{"items_over_limit": true, "sum_beyond_64_bits": true}
	schemas := map[string]*jsonschema.Schema{
		"clickstream": eventSchema(t, "clickstream"), "purchases": eventSchema(t, "purchases"),
	}
	for _, c := range Poison() {
		switch c.Reason {
		case "missing_field", "wrong_type", "unknown_type", "bad_amount":
		default:
			continue
		}
		if strings.Contains(string(c.Value), "e999999999") {
			continue // the validator would write the number out
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Value))
		if err != nil {
			t.Errorf("%s is no JSON: %v", c.Class, err)
			continue
		}
		if fits := schemas[c.Topic].Validate(doc) == nil; fits != beyond[c.Class] {
			t.Errorf("%s: fits its schema: %v", c.Class, fits)
		}
	}
}

func TestPoisonClassesHaveDifferentNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Poison() {
		if seen[c.Class] || c.Class == "" {
			t.Errorf("class %q is listed twice", c.Class)
		}
		seen[c.Class] = true
		if c.Value == nil != (c.Class == "tombstone") {
			t.Errorf("%s: a nil value", c.Class)
		}
		if strings.HasPrefix(c.Class, "too_large") != (len(c.Value) > 1<<20) {
			t.Errorf("%s has %d bytes", c.Class, len(c.Value))
		}
	}
	if len(seen) < 24 {
		t.Errorf("%d classes, want at least 24", len(seen))
	}
}
