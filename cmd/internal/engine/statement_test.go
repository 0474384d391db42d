package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseInsertion(t *testing.T) {
	type want struct {
		SQL, Format, Data string
	}
	for name, c := range map[string]struct {
		sql  string
		want *want
	}{
		"data after the format":     {"INSERT INTO t FORMAT TSV\n1\t2\n", &want{"INSERT INTO t ", "TSV", "1\t2\n"}},
		"windows line end":          {"INSERT INTO t FORMAT TSV\r\n1", &want{"INSERT INTO t ", "TSV", "1"}},
		"data on the same line":     {`insert into t format JSONEachRow {"a":1}`, &want{"insert into t ", "JSONEachRow", `{"a":1}`}},
		"data apart":                {"INSERT INTO t (a, b) FORMAT Native", &want{"INSERT INTO t (a, b) ", "Native", ""}},
		"only one line end is ours": {"INSERT INTO t FORMAT LineAsString\n\nx", &want{"INSERT INTO t ", "LineAsString", "\nx"}},
		"semicolon":                 {"INSERT INTO t FORMAT Native;\n", &want{"INSERT INTO t ", "Native", ""}},
		"settings":                  {"INSERT INTO t SETTINGS async_insert=0 FORMAT Native", &want{"INSERT INTO t SETTINGS async_insert=0 ", "Native", ""}},
		"comments":                  {"/* FORMAT x */ -- y\nINSERT INTO t FORMAT CSV\n1", &want{"/* FORMAT x */ -- y\nINSERT INTO t ", "CSV", "1"}},
		"column called format":      {"INSERT INTO t (format, values) FORMAT CSV\n1", &want{"INSERT INTO t (format, values) ", "CSV", "1"}},
		"quoted names":              {"INSERT INTO `FORMAT x`.\"VALUES\" FORMAT CSV\n1", &want{"INSERT INTO `FORMAT x`.\"VALUES\" ", "CSV", "1"}},
		"values apart":              {"INSERT INTO t (a) VALUES", &want{"INSERT INTO t (a) ", "Values", ""}},
		"binary data":               {"INSERT INTO t FORMAT Native\n\x00'\"(\xff", &want{"INSERT INTO t ", "Native", "\x00'\"(\xff"}},
		"values inline":             {"INSERT INTO t VALUES (1, 'FORMAT x')", nil},
		"select":                    {"INSERT INTO t SELECT 1 FORMAT Native", nil},
		"with":                      {"INSERT INTO t WITH 1 AS x SELECT x", nil},
		"no insert":                 {"SELECT 'INSERT INTO t FORMAT CSV'", nil},
		"open quote":                {"INSERT INTO 't FORMAT CSV", nil},
		"nothing":                   {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseInsertion(c.sql)
			if ok != (c.want != nil) {
				t.Fatalf("parseInsertion(%q) = %+v, %t", c.sql, got, ok)
			}
			if !ok {
				return
			}
			if diff := cmp.Diff(*c.want, want{got.sql, got.format, c.sql[got.data:]}); diff != "" {
				t.Errorf("parseInsertion(%q) (-want +got):\n%s", c.sql, diff)
			}
		})
	}
}

func TestOutputFormat(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                         "",
		"SELECT 1 FORMAT JSON":             "JSON",
		"SELECT 1 format JSON;":            "JSON",
		"SELECT 1 FORMAT CSV SETTINGS a=1": "CSV",
		"SELECT a AS format FROM t":        "",
		"SELECT 'FORMAT JSON'":             "",
		"SELECT 1 -- FORMAT JSON":          "",
		"SELECT (SELECT 1 FORMAT JSON)":    "",
		"SHOW TABLES FORMAT TSV":           "TSV",
	} {
		if got := outputFormat(sql); got != want {
			t.Errorf("outputFormat(%q) = %q, want %q", sql, got, want)
		}
	}
}

func TestKindsOfStatement(t *testing.T) {
	for sql, want := range map[string][3]bool{ // select, system, stops the engine
		"SELECT 1":                     {true, false, false},
		"  ( /* x */ select 1)":        {true, false, false},
		"WITH 1 AS x SELECT x":         {true, false, false},
		"SHOW TABLES":                  {false, false, false},
		"SYSTEM STOP MERGES":           {false, true, false},
		"-- x\n system /**/ shutdown;": {false, true, true},
		"SYSTEM KILL":                  {false, true, true},
	} {
		if got := [3]bool{isSelect(sql), isSystem(sql), stopsEngine(sql)}; got != want {
			t.Errorf("%q: select, system, stops = %v, want %v", sql, got, want)
		}
	}
}

func TestSettingList(t *testing.T) {
	got := settingList(map[string]string{"b": `it's \ ok`, "a": "1"})
	if want := `a = '1', b = 'it\'s \\ ok'`; got != want {
		t.Errorf("settingList = %s, want %s", got, want)
	}
}

func FuzzStatement(f *testing.F) {
	for _, seed := range []string{"INSERT INTO t (a) FORMAT CSV\n1", "SELECT 'a''b' FORMAT JSON", "/*", "--", "'", "INSERT INTO t VALUES"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		if insert, ok := parseInsertion(sql); ok {
			if insert.data < len(insert.sql) || insert.data > len(sql) || !strings.HasPrefix(sql, insert.sql) {
				t.Errorf("parseInsertion(%q) = %+v", sql, insert)
			}
			if insert.format == "" {
				t.Errorf("parseInsertion(%q) has no format", sql)
			}
		}
		if format := outputFormat(sql); !strings.Contains(sql, format) {
			t.Errorf("outputFormat(%q) = %q", sql, format)
		}
	})
}
