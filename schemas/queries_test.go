package schemas

import (
	"regexp"
	"strings"
	"testing"
)

func TestQueriesHaveADocAndReadViewsOfAnyDatabase(t *testing.T) {
	queries, err := Queries()
	if err != nil || len(queries) == 0 {
		t.Fatalf("%d queries, %v", len(queries), err)
	}
	reads := regexp.MustCompile(`(?i)^(SELECT|WITH)\b`)
	for _, q := range queries {
		if !reads.MatchString(q.SQL) || strings.Contains(q.SQL, "profilestream.") || strings.Contains(q.SQL, "--") {
			t.Errorf("query %s is not a plain SELECT over unqualified views:\n%s", q.Name, q.SQL)
		}
		if rest := queryParam.ReplaceAllString(q.SQL, ""); strings.ContainsAny(rest, "{}$;") {
			t.Errorf("query %s holds something other than bound parameters in braces:\n%s", q.Name, rest)
		}
	}
}

func TestParseQuery(t *testing.T) {
	q, err := parseQuery("one_user", "-- One user's row\n-- user = a = b\nSELECT {user:String}, {user:String}\n")
	if err != nil || q.Doc != "One user's row" || len(q.Params) != 1 || q.Params[0] != (QueryParam{"user", "String", "a = b"}) {
		t.Fatalf("%+v, %v", q, err)
	}
	for _, c := range []struct{ name, query, text, want string }{
		{"bad name", "A-b", "-- doc\nSELECT 1", "the name"},
		{"no doc", "a", "SELECT 1", "line 1"},
		{"two statements", "a", "-- doc\nSELECT 1;", "semicolon"},
		{"no statement", "a", "-- doc\n", "want one statement"},
		{"no example", "a", "-- doc\nSELECT {x:UInt8}", "parameter x has no line"},
		{"no parameter", "a", "-- doc\n-- x = 1\nSELECT 1", "parameter x is not in"},
		{"stray comment", "a", "-- doc\n-- more words\nSELECT 1", "line 2"},
	} {
		if _, err := parseQuery(c.query, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}
