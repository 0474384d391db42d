package schemas

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/template"
)

//go:embed migrations views
var sqlFiles embed.FS

// rowHead and rowTail name the columns of profiles and profile_history that
// stand before and after the features, in the order of the tables.
var (
	rowHead = []string{"user_id", "as_of", "row_version", "trigger", "digest"}
	rowTail = []string{
		"embedding", "churn_probability", "churn_band", "value_expected", "value_band", "interests", "sentiment",
		"reasons", "degraded", "model_version", "config_version", "log_partition", "log_offset", "flags", "scored_at", "kafka_time",
	}
)

// RowColumns lists the columns of the tables profiles and profile_history in
// table order.
func RowColumns() []string {
	cols := append([]string(nil), rowHead...)
	for _, f := range Features {
		cols = append(cols, f.Name)
	}
	return append(cols, rowTail...)
}

// RowFrame lists the columns of RowColumns around the features.
func RowFrame() []string { return slices.Concat(rowHead, rowTail) }

// ClickHouseType is the type of a feature's column in ClickHouse. Its binary
// form equals that of the Arrow column: money is a decimal of six places over
// the same 64 bits.
func (f Feature) ClickHouseType() string {
	var t string
	switch f.Type {
	case Money:
		t = "Decimal(18, 6)"
	case Time:
		t = "DateTime64(3, 'UTC')"
	case Ratio:
		t = "Float64"
	default:
		t = "Int64"
	}
	if f.Nullable {
		return "Nullable(" + t + ")"
	}
	return t
}

func (f Feature) codec() string {
	switch f.Type {
	case Time:
		return "Delta(8), ZSTD(1)"
	case Count, Days:
		return "T64, ZSTD(1)"
	default:
		return "ZSTD(1)"
	}
}

// featureColumns renders the definitions of the feature columns.
func featureColumns() string {
	defs := make([]string, len(Features))
	for i, f := range Features {
		defs[i] = "    " + f.definition() + ","
	}
	return strings.Join(defs, "\n")
}

// AddFeatureColumns renders the statement with which a migration brings a
// table of an older version to the present feature list, each new column
// behind its neighbour. In a migration: {{addFeatureColumns "profiles"}};
func AddFeatureColumns(table string) string {
	after := rowHead[len(rowHead)-1]
	clauses := make([]string, len(Features))
	for i, f := range Features {
		clauses[i] = "    ADD COLUMN IF NOT EXISTS " + f.definition() + " AFTER `" + after + "`"
		after = f.Name
	}
	return "ALTER TABLE " + table + "\n" + strings.Join(clauses, ",\n")
}

func (f Feature) definition() string {
	return fmt.Sprintf("`%s` %s COMMENT '%s' CODEC(%s)", f.Name, f.ClickHouseType(), strings.ReplaceAll(f.Doc, "'", "''"), f.codec())
}

// windowsOfDays lists the windows of a day and more.
func windowsOfDays() []Window { return Windows[Window24h:] }

func rowColumns() string { return strings.Join(RowColumns(), ", ") }

// restated are the columns whose old and new values the view restatements shows.
func restated() (columns []struct{ Name, Value string }) {
	for _, name := range []string{
		"churn_probability", "churn_band", "value_expected", "events_total", "orders_total", "revenue_total", "revenue_90d", "model_version", "digest",
	} {
		value := "r." + name
		if strings.HasSuffix(name, "_band") || name == "model_version" {
			value = "toString(" + value + ")" // no Nullable(LowCardinality)
		}
		columns = append(columns, struct{ Name, Value string }{name, value})
	}
	return columns
}

var sqlFuncs = template.FuncMap{
	"restated":          restated,
	"featureColumns":    featureColumns,
	"addFeatureColumns": AddFeatureColumns,
	"rowColumns":        rowColumns,
	"windows":           windowsOfDays,
}

// Migrations returns the versioned migrations of a run's database as files
// named NNNNN_name.sql in goose's format, rendered from the feature list.
// Every statement is idempotent, so that two processes may run them at once.
func Migrations() (fs.FS, error) {
	dir, err := fs.Sub(sqlFiles, "migrations")
	if err != nil {
		return nil, fmt.Errorf("opening the embedded migrations: %w", err)
	}
	return renderedFS{dir}, nil
}

// Summaries names the refreshable views of a run's database that hold figures
// of its history; the views of readers stand on them. They are made by a
// migration and filled anew by the server, in this order, one after the other.
var Summaries = []string{"activity_days", "model_weeks", "cohort_months", "band_days", "band_weeks"}

// View is a statement that creates or replaces one view that readers use.
type View struct {
	Name      string
	Statement string
}

// Views returns the views of database, showing the tables of the database
// source (the same one, or that of the promoted run).
func Views(database, source string) ([]View, error) {
	entries, err := fs.ReadDir(sqlFiles, "views")
	if err != nil {
		return nil, fmt.Errorf("listing the embedded views: %w", err)
	}
	views := make([]View, 0, len(entries))
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".sql")
		text, err := render(sqlFiles, path.Join("views", e.Name()), map[string]string{
			"View": QuoteIdentifier(database) + "." + QuoteIdentifier(name), "Source": QuoteIdentifier(source),
		})
		if err != nil {
			return nil, err
		}
		views = append(views, View{Name: name, Statement: string(text)})
	}
	return views, nil
}

// QuoteIdentifier quotes the name of a database, table or column for SQL.
func QuoteIdentifier(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

func render(fsys fs.FS, name string, data any) ([]byte, error) {
	t, err := template.New(path.Base(name)).Funcs(sqlFuncs).ParseFS(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", name, err)
	}
	if shared, err := fs.Glob(fsys, "*.tmpl"); err == nil && len(shared) > 0 {
		if t, err = t.ParseFS(fsys, shared...); err != nil {
			return nil, fmt.Errorf("parsing the shared columns: %w", err)
		}
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, path.Base(name), data); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// renderedFS shows the SQL files of fs as they are after rendering.
type renderedFS struct{ fs.FS }

func (r renderedFS) Open(name string) (fs.File, error) {
	if !strings.HasSuffix(name, ".sql") {
		return r.FS.Open(name)
	}
	f, err := r.FS.Open(name)
	if err != nil {
		return nil, err
	}
	text, err := render(r.FS, name, nil)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &renderedFile{File: f, r: bytes.NewReader(text)}, nil
}

type renderedFile struct {
	fs.File
	r *bytes.Reader
}

func (f *renderedFile) Read(p []byte) (int, error) { return f.r.Read(p) }

func (f *renderedFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	return renderedInfo{info, f.r.Size()}, err
}

type renderedInfo struct {
	fs.FileInfo
	size int64
}

func (i renderedInfo) Size() int64 { return i.size }

var _ io.Reader = (*renderedFile)(nil)
