package schemas

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

//go:embed queries
var queryFiles embed.FS

// Query is a named question that boards and the console ask of ClickHouse. It
// names views without their database: the session's database is the base one.
type Query struct {
	Name   string       // the file's name without .sql: [a-z0-9_]+
	Doc    string       // what it answers, one line
	SQL    string       // one SELECT, without a closing semicolon
	Params []QueryParam // in the order of their first use
}

// QueryParam is a bound parameter, written {name:Type} in the SQL and sent as
// param_name in the URL.
type QueryParam struct {
	Name    string
	Type    string // a ClickHouse type, such as String or DateTime
	Example string // a value that makes sense over .docker/clickhouse/sample.sql
}

var (
	queryName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	queryParam = regexp.MustCompile(`\{([a-z][a-z0-9_]*):([A-Za-z0-9_(), ]+)\}`)
)

// Queries returns the named queries by ascending name. A file starts with a
// line `-- what it answers`, followed by a line `-- name = example` for each
// parameter.
func Queries() ([]Query, error) {
	entries, err := fs.ReadDir(queryFiles, "queries")
	if err != nil {
		return nil, fmt.Errorf("listing the embedded queries: %w", err)
	}
	queries := make([]Query, 0, len(entries))
	for _, e := range entries {
		text, err := fs.ReadFile(queryFiles, path.Join("queries", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading an embedded query: %w", err)
		}
		q, err := parseQuery(strings.TrimSuffix(e.Name(), ".sql"), string(text))
		if err != nil {
			return nil, fmt.Errorf("queries/%s: %w", e.Name(), err)
		}
		queries = append(queries, q)
	}
	return queries, nil
}

// parseQuery takes the text of a query's file apart.
func parseQuery(name, text string) (Query, error) {
	q := Query{Name: name}
	if !queryName.MatchString(name) {
		return q, fmt.Errorf("the name %q is not [a-z][a-z0-9_]*", name)
	}
	examples := map[string]string{}
	for n := 1; strings.HasPrefix(text, "--"); n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = strings.TrimSpace(strings.TrimPrefix(line, "--"))
		if n == 1 {
			q.Doc = line
			continue
		}
		param, example, ok := strings.Cut(line, " = ")
		if !ok {
			return q, fmt.Errorf("line %d: want `-- parameter = example`, not %q", n, line)
		}
		examples[param] = example
	}
	if q.Doc == "" {
		return q, fmt.Errorf("line 1: want `-- what the query answers`")
	}
	q.SQL = strings.TrimSpace(text)
	if q.SQL == "" || strings.HasSuffix(q.SQL, ";") {
		return q, fmt.Errorf("want one statement without a semicolon")
	}
	for _, m := range queryParam.FindAllStringSubmatch(q.SQL, -1) {
		if example, ok := examples[m[1]]; ok {
			q.Params = append(q.Params, QueryParam{Name: m[1], Type: m[2], Example: example})
			delete(examples, m[1])
		} else if !q.has(m[1]) {
			return q, fmt.Errorf("parameter %s has no line `-- %s = example`", m[1], m[1])
		}
	}
	for param := range examples {
		return q, fmt.Errorf("parameter %s is not in the statement", param)
	}
	return q, nil
}

func (q Query) has(param string) bool {
	for _, p := range q.Params {
		if p.Name == param {
			return true
		}
	}
	return false
}
