package console

import (
	"sort"

	"profilestream/schemas"
)

// Kinds of fields, and so of the conditions on them.
const (
	kindNumber = "number"
	kindTime   = "time"
	kindChoice = "choice"
	kindMember = "member" // of a list or a map
)

// field is what a condition can be about. expr is SQL of this file and of the
// feature list alone.
type field struct {
	Name, Label, Group, Kind string
	Nullable                 bool
	Choices                  []string // of kindChoice, and of kindMember where they are known
	expr                     string
}

// fields are those of the models, the bands, the interests and every feature, in
// the order in which the page lists them.
var fields = listFields()

func listFields() []field {
	list := []field{
		{Name: "churn_band", Group: "Scores", Kind: kindChoice, Choices: churnBands},
		{Name: "value_band", Group: "Scores", Kind: kindChoice, Choices: valueBands},
		{Name: "churn_probability", Group: "Scores", Kind: kindNumber},
		{Name: "value_expected", Group: "Scores", Kind: kindNumber},
		{Name: "at_risk", Group: "Scores", Kind: kindNumber, expr: "value_expected * churn_probability"},
		{Name: "sentiment", Group: "Scores", Kind: kindNumber, Nullable: true},
		{Name: "interests", Group: "Interests and flags", Kind: kindMember, expr: "mapKeys(interests)"},
		{Name: "flags", Group: "Interests and flags", Kind: kindMember, Choices: []string{"bot", "hot"}},
	}
	// Whole life first: these are asked for most; then the longest windows.
	features := append([]schemas.Feature(nil), schemas.Features...)
	sort.SliceStable(features, func(i, k int) bool { return rank(features[i]) < rank(features[k]) })
	for _, f := range features {
		d := field{Name: f.Name, Kind: kindNumber, Nullable: f.Nullable, Group: "Whole life"}
		if f.Type == schemas.Time {
			d.Kind = kindTime
		}
		if f.Window >= 0 {
			d.Group = "Last " + spans[schemas.Windows[f.Window].Name]
		}
		list = append(list, d)
	}
	for i := range list {
		list[i].Label = Label(list[i].Name)
		if list[i].expr == "" {
			list[i].expr = schemas.QuoteIdentifier(list[i].Name)
		}
	}
	return list
}

func rank(f schemas.Feature) int {
	if f.Window < 0 {
		return 0
	}
	return schemas.NumWindows - f.Window
}

func fieldOf(name string) (field, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f, true
		}
	}
	return field{}, false
}

// operator is a way to compare. sql has @field for the field and @value for the
// value.
type operator struct {
	Name, Label, sql string
	NoValue          bool
	nullableOnly     bool
}

var operators = map[string][]operator{
	kindNumber: {
		{Name: "ge", Label: "at least", sql: "@field >= @value"},
		{Name: "le", Label: "at most", sql: "@field <= @value"},
		{Name: "eq", Label: "exactly", sql: "@field = @value"},
		{Name: "none", Label: "not known", sql: "isNull(@field)", NoValue: true, nullableOnly: true},
	},
	kindTime: {
		{Name: "since", Label: "on or after", sql: "@field >= @value"},
		{Name: "before", Label: "before", sql: "@field < @value"},
		{Name: "none", Label: "never", sql: "isNull(@field)", NoValue: true, nullableOnly: true},
	},
	kindChoice: {
		{Name: "is", Label: "is", sql: "@field = @value"},
		{Name: "not", Label: "is not", sql: "@field != @value"},
	},
	kindMember: {
		{Name: "has", Label: "include", sql: "has(@field, @value)"},
		{Name: "lacks", Label: "do not include", sql: "NOT has(@field, @value)"},
	},
}

// operatorOf is the one of a name, if it suits the field.
func operatorOf(f field, name string) (operator, bool) {
	for _, o := range operators[f.Kind] {
		if o.Name == name && (f.Nullable || !o.nullableOnly) {
			return o, true
		}
	}
	return operator{}, false
}
