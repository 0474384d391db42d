package console

import (
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxConditions bounds a filter, and maxValueBytes one value in it.
const (
	maxConditions = 20
	maxValueBytes = 256
)

// condition is one line of a filter, as the page sends it.
type condition struct {
	Field, Operator, Value string
	// Wrong says what has to be mended; empty: nothing.
	Wrong string

	field    field
	operator operator
	number   float64
	time     time.Time
}

// filter is a segment: customers that meet all conditions, or any of them.
type filter struct {
	Any        bool
	Conditions []condition
}

// parseFilter reads f, o and v (field, operator, value; one of each a line) and
// match (all or any). Lines that are not complete yet are kept and said to be
// wrong; lists of different lengths are an error.
func parseFilter(q url.Values) (*filter, error) {
	names, ops, values := q["f"], q["o"], q["v"]
	if len(names) != len(ops) || len(names) != len(values) {
		return nil, wrongInput{"The filter is not complete: each line needs a field, a comparison and a value."}
	}
	if len(names) > maxConditions {
		return nil, wrongInput{fmt.Sprintf("A filter has at most %d conditions.", maxConditions)}
	}
	f := &filter{Any: q.Get("match") == "any"}
	for i := range names {
		c := condition{Field: names[i], Operator: ops[i], Value: strings.TrimSpace(values[i])}
		c.Wrong = c.parse()
		f.Conditions = append(f.Conditions, c)
	}
	return f, nil
}

// parse checks a line and returns what is wrong with it.
func (c *condition) parse() string {
	var ok bool
	if c.field, ok = fieldOf(c.Field); !ok {
		return "Choose a field."
	}
	if c.operator, ok = operatorOf(c.field, c.Operator); !ok {
		return "Choose how to compare."
	}
	if c.operator.NoValue {
		return ""
	}
	if len(c.Value) > maxValueBytes {
		return "The value is too long."
	}
	var err error
	switch c.field.Kind {
	case kindNumber:
		if c.number, err = strconv.ParseFloat(c.Value, 64); err != nil || math.IsInf(c.number, 0) || math.IsNaN(c.number) {
			return "Enter a number."
		}
	case kindTime:
		if c.time, err = time.Parse(time.DateOnly, c.Value); err != nil {
			return "Enter a day, such as 2026-02-01."
		}
	case kindChoice:
		if !slices.Contains(c.field.Choices, c.Value) {
			return "Choose one of the bands."
		}
	default:
		if c.Value == "" {
			return "Enter a name."
		}
	}
	return ""
}

// Complaint is the first thing to be mended.
func (f *filter) Complaint() string {
	for i, c := range f.Conditions {
		if c.Wrong != "" {
			return fmt.Sprintf("Condition %d: %s", i+1, c.Wrong)
		}
	}
	return ""
}

// where is the filter as SQL. bind makes the SQL of a value.
func (f *filter) where(bind func(*condition) string) string {
	if len(f.Conditions) == 0 {
		return "1"
	}
	parts := make([]string, len(f.Conditions))
	for i := range f.Conditions {
		c := &f.Conditions[i]
		value := ""
		if !c.operator.NoValue {
			value = bind(c)
		}
		parts[i] = "(" + strings.NewReplacer("@field", c.field.expr, "@value", value).Replace(c.operator.sql) + ")"
	}
	if f.Any {
		return strings.Join(parts, " OR ")
	}
	return strings.Join(parts, " AND ")
}

// bound is the filter with bound parameters, and these.
func (f *filter) bound() (sql string, params []any) {
	sql = f.where(func(c *condition) string {
		name := fmt.Sprintf("p%d", len(params))
		switch c.field.Kind {
		case kindNumber:
			params = append(params, param(name, c.number))
			return "{" + name + ":Float64}"
		case kindTime:
			params = append(params, param(name, c.time.Format(time.DateOnly)))
			return "toDateTime64({" + name + ":Date}, 3, 'UTC')"
		default:
			params = append(params, param(name, c.Value))
			return "{" + name + ":String}"
		}
	})
	return sql, params
}

// literal is the filter with its values written out, for a view, which cannot
// have bound ones. Numbers and days are written anew from what was parsed.
func (f *filter) literal() string {
	return f.where(func(c *condition) string {
		switch c.field.Kind {
		case kindNumber:
			return "toFloat64(" + strconv.FormatFloat(c.number, 'g', -1, 64) + ")"
		case kindTime:
			return "toDateTime64('" + c.time.Format(time.DateOnly) + "', 3, 'UTC')"
		default:
			return text(c.Value)
		}
	})
}

// harmless texts mean themselves between quotes, whatever reads them.
var harmless = regexp.MustCompile(`^[A-Za-z0-9 &,._+-]*$`)

// text is a string in SQL: between quotes where that is harmless, else by its
// bytes.
func text(s string) string {
	if harmless.MatchString(s) {
		return "'" + s + "'"
	}
	return "unhex('" + hex.EncodeToString([]byte(s)) + "')"
}

// query is the filter as the address of a page has it.
func (f *filter) query() url.Values {
	q := url.Values{}
	if f.Any {
		q.Set("match", "any")
	}
	for _, c := range f.Conditions {
		q.Add("f", c.Field)
		q.Add("o", c.Operator)
		q.Add("v", c.Value)
	}
	return q
}
