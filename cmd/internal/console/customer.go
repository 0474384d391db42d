package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Sizes of the lists about customers.
const (
	foundLimit   = 50
	suggestLimit = 8
	similarLimit = 6
)

// found is a row of the query customers_by_prefix.
type found struct {
	User     string    `ch:"user_id"`
	Churn    float64   `ch:"churn_probability"`
	Band     string    `ch:"churn_band"`
	Expected float64   `ch:"value_expected"`
	Value    string    `ch:"value_band"`
	LastSeen time.Time `ch:"last_seen"`
	Orders   int64     `ch:"orders_total"`
}

// customers searches by the beginning of an id; one that fits alone is shown.
func (c *Console) customers(w http.ResponseWriter, r *http.Request) error {
	q := strings.TrimSpace(r.FormValue("q"))
	var rows []found
	if q != "" {
		if err := c.ask(r.Context(), &rows, "customers_by_prefix", param("prefix", q), param("limit", foundLimit)); err != nil {
			return err
		}
		if len(rows) == 1 {
			http.Redirect(w, r, "/customer?id="+url.QueryEscape(rows[0].User), http.StatusSeeOther)
			return nil
		}
	} else if err := c.ask(r.Context(), &rows, "customers_by_prefix", param("prefix", ""), param("limit", foundLimit)); err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "customers", "Customers", struct {
		Query string
		Rows  []found
		Full  bool
	}{q, rows, len(rows) == foundLimit})
}

// suggest answers the ids that begin with ?q=, as a JSON list.
func (c *Console) suggest(w http.ResponseWriter, r *http.Request) error {
	ids := []string{}
	if q := strings.TrimSpace(r.FormValue("q")); q != "" {
		var rows []found
		if err := c.ask(r.Context(), &rows, "customers_by_prefix", param("prefix", q), param("limit", suggestLimit)); err != nil {
			return err
		}
		for _, f := range rows {
			ids = append(ids, f.User)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(ids)
}

// customerPage is what the page of one customer shows.
type customerPage struct {
	User     string
	Row      record
	AsOf     time.Time
	Bot      bool
	Reasons  []reason
	Likes    []interest
	Windows  []windowRow
	Life     []fact
	Since    time.Time
	Changes  []change
	Timeline timeline
}

func (c *Console) customer(w http.ResponseWriter, r *http.Request) error {
	p := &customerPage{User: r.FormValue("id")}
	var before record
	g, ctx := errgroup.WithContext(r.Context())
	user := param("user", p.User)
	g.Go(func() (err error) { p.Row, err = c.askRecord(ctx, "customer_profile", user); return err })
	g.Go(func() (err error) { before, err = c.askRecord(ctx, "customer_week_before", user); return err })
	g.Go(func() error { return c.timelineOf(ctx, p) })
	if err := g.Wait(); err != nil {
		return err
	}
	if p.Row == nil {
		return c.render(w, r, http.StatusNotFound, "error", "No such customer", struct {
			Status int
			Words  string
		}{http.StatusNotFound, "There is no customer of this id."})
	}
	p.fill(before, c.o.Currency)
	return c.render(w, r, http.StatusOK, "customer", "Customer", p)
}

// similarRow is a row of the query customers_similar.
type similarRow struct {
	User       string  `ch:"user_id"`
	Similarity float64 `ch:"similarity"`
	Churn      float64 `ch:"churn_probability"`
	Band       string  `ch:"churn_band"`
	Expected   float64 `ch:"value_expected"`
	Value      string  `ch:"value_band"`
	Interest   string  `ch:"interest"`
}

// similar is a part of the page of its own: it reads every embedding, and a page
// should not wait for that. Who follows the link without scripts gets a page.
func (c *Console) similar(w http.ResponseWriter, r *http.Request) error {
	p := struct {
		User string
		Rows []similarRow
	}{User: r.FormValue("id")}
	if err := c.ask(r.Context(), &p.Rows, "customers_similar", param("user", p.User), param("limit", similarLimit)); err != nil {
		return err
	}
	if asksForPage(r) {
		return c.render(w, r, http.StatusOK, "similar", "Similar customers", p)
	}
	return c.fragment(w, "similar", "similar", p.Rows)
}

// timeline is the customer's day rows.
type timeline struct {
	Rows                  []timelineRow
	Churn, Expect, Spends chart
}

// timelineRow is a row of the query customer_timeline.
type timelineRow struct {
	Day      time.Time `ch:"day"`
	Trigger  string    `ch:"trigger"`
	Churn    float32   `ch:"churn_probability"`
	Band     string    `ch:"churn_band"`
	Expected float32   `ch:"value_expected"`
	Value    string    `ch:"value_band"`
	Orders   int64     `ch:"orders_30d"`
	Spend    float64   `ch:"revenue_30d"`
	Views    int64     `ch:"page_views_30d"`
	Silent   *int64    `ch:"days_since_last_order"`
	Reason   string    `ch:"reason"`
	Model    string    `ch:"model_version"`
}

func (c *Console) timelineOf(ctx context.Context, p *customerPage) error {
	t := &p.Timeline
	if err := c.ask(ctx, &t.Rows, "customer_timeline", param("user", p.User)); err != nil {
		return err
	}
	symbol := symbolOf(c.o.Currency)
	t.Churn = chart{Unit: "percent", Sync: "customer", Series: []series{{Label: "Churn risk", Color: "churn-high"}}}
	t.Expect = chart{Unit: "money", Currency: symbol, Sync: "customer", Series: []series{{Label: "Expected value, 90 days", Color: "accent"}}}
	t.Spends = chart{Unit: "money", Currency: symbol, Sync: "customer", Series: []series{{Label: "Spend, last 30 days", Color: "churn-low", Stepped: true}}}
	for _, r := range t.Rows {
		t.Churn.X = append(t.Churn.X, r.Day.Unix())
		t.Churn.Series[0].add(float64(r.Churn))
		t.Expect.Series[0].add(float64(r.Expected))
		t.Spends.Series[0].add(r.Spend)
	}
	t.Expect.X, t.Spends.X = t.Churn.X, t.Churn.X
	return nil
}
