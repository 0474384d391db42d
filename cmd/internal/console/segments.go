package console

import (
	"context"
	"html/template"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// segmentRows is how many customers of a segment the page lists.
const segmentRows = 20

// segmentSums are the size of a segment beside all customers.
type segmentSums struct {
	Customers uint64  `ch:"customers"`
	Expected  float64 `ch:"expected"`
	AtRisk    float64 `ch:"at_risk"`
	All       uint64  `ch:"all"`
}

// member is a customer of a segment.
type member struct {
	User     string    `ch:"user_id"`
	Churn    float64   `ch:"churn_probability"`
	Band     string    `ch:"churn_band"`
	Expected float64   `ch:"value_expected"`
	Value    string    `ch:"value_band"`
	AtRisk   float64   `ch:"at_risk"`
	Orders   int64     `ch:"orders_total"`
	LastSeen time.Time `ch:"last_seen"`
}

// segmentsPage is what the page shows.
type segmentsPage struct {
	Filter    *filter
	Groups    []fieldGroup
	Operators map[string][]operator
	Interests []string
	Sums      *segmentSums
	Rows      []member
	SQL       string
	Query     template.URL // the filter, for addresses
	CanSave   bool
	Saved     string // name of the view that has just been made
	Problem   string
}

type fieldGroup struct {
	Name   string
	Fields []field
}

var fieldGroups = groupFields()

func groupFields() []fieldGroup {
	var groups []fieldGroup
	for _, f := range fields {
		if n := len(groups); n == 0 || groups[n-1].Name != f.Group {
			groups = append(groups, fieldGroup{Name: f.Group})
		}
		n := len(groups) - 1
		groups[n].Fields = append(groups[n].Fields, f)
	}
	return groups
}

func (c *Console) segments(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		return err
	}
	// Without scripts a button adds an empty line or takes one away.
	switch edit := r.FormValue("edit"); {
	case edit == "add" || len(f.Conditions) == 0 && !r.URL.Query().Has("match"):
		f.Conditions = append(f.Conditions, condition{Field: "churn_band", Operator: "is", Value: "high"})
		last := &f.Conditions[len(f.Conditions)-1]
		last.Wrong = last.parse()
	case edit != "":
		f.remove(edit)
	}
	return c.showSegment(w, r, http.StatusOK, f, "", "")
}

// remove takes the line of a number, counted from 0, away.
func (f *filter) remove(line string) {
	for i := range f.Conditions {
		if line == count(i) {
			f.Conditions = append(f.Conditions[:i], f.Conditions[i+1:]...)
			return
		}
	}
}

func (c *Console) showSegment(w http.ResponseWriter, r *http.Request, status int, f *filter, saved, problem string) error {
	p := &segmentsPage{
		Filter: f, Groups: fieldGroups, Operators: operators, Query: template.URL(f.query().Encode()), //nolint:gosec // encoded just now
		CanSave: c.o.Writer != nil, Saved: saved, Problem: problem,
	}
	var names []struct {
		Interest  string `ch:"interest"`
		Customers uint64 `ch:"customers"`
	}
	g, ctx := errgroup.WithContext(r.Context())
	g.Go(func() error { return c.ask(ctx, &names, "interest_names") })
	if f.Complaint() == "" {
		p.SQL = memberSQL(f.literal())
		g.Go(func() (err error) { p.Sums, err = c.sums(ctx, f); return err })
		g.Go(func() (err error) { p.Rows, err = c.members(ctx, f); return err })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, n := range names {
		p.Interests = append(p.Interests, n.Interest)
	}
	return c.render(w, r, status, "segments", "Segments", p)
}

// memberSQL is the statement of a segment; a view of it has these columns.
func memberSQL(where string) string {
	return "SELECT * EXCEPT (embedding)\nFROM profiles_latest\nWHERE " + where
}

func (c *Console) sums(ctx context.Context, f *filter) (*segmentSums, error) {
	where, params := f.bound()
	var rows []segmentSums
	err := c.o.Reader.Select(ctx, &rows, "SELECT countIf(hit) AS customers, sumIf(toFloat64(value_expected), hit) AS expected, "+
		"sumIf(toFloat64(value_expected * churn_probability), hit) AS at_risk, count() AS all\n"+
		"FROM (SELECT value_expected, churn_probability, toBool(ifNull("+where+", 0)) AS hit FROM profiles_latest)", params...)
	if err != nil {
		return nil, named("a segment's size", err)
	}
	return &rows[0], nil
}

func (c *Console) members(ctx context.Context, f *filter) (rows []member, err error) {
	where, params := f.bound()
	err = c.o.Reader.Select(ctx, &rows, "SELECT user_id, toFloat64(churn_probability) AS churn_probability, churn_band, toFloat64(value_expected) AS value_expected, value_band,\n"+
		"    toFloat64(value_expected * churn_probability) AS at_risk, orders_total, last_seen\n"+
		"FROM (SELECT * EXCEPT (embedding) FROM profiles_latest WHERE "+where+")\nORDER BY at_risk DESC, user_id\nLIMIT {rows:UInt16}", append(params, param("rows", segmentRows))...)
	return rows, named("a segment's customers", err)
}

// segmentSize answers the size alone, as the part of the page that shows it.
func (c *Console) segmentSize(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		return err
	}
	p := &segmentsPage{Filter: f}
	if p.Problem = f.Complaint(); p.Problem == "" {
		if p.Sums, err = c.sums(r.Context(), f); err != nil {
			return err
		}
	}
	return c.fragment(w, "segments", "size", p)
}
