package console

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// Bands in the order in which pages show them.
var (
	churnBands = []string{"high", "medium", "low"}
	valueBands = []string{"high", "mid", "low"}
)

// bandRow is a row of the query customers_by_band.
type bandRow struct {
	Churn     string  `ch:"churn_band"`
	Value     string  `ch:"value_band"`
	Customers uint64  `ch:"customers"`
	Expected  float64 `ch:"expected"`
	AtRisk    float64 `ch:"at_risk"`
}

// atRisk is a row of the query customers_at_risk_most.
type atRisk struct {
	User     string  `ch:"user_id"`
	Churn    float64 `ch:"churn_probability"`
	Band     string  `ch:"churn_band"`
	Expected float64 `ch:"value_expected"`
	Value    string  `ch:"value_band"`
	AtRisk   float64 `ch:"at_risk"`
	Silent   *int64  `ch:"days_since_last_order"`
	Reason   string  `ch:"reason"`
}

// overviewPage is what the page shows.
type overviewPage struct {
	Customers        uint64
	Expected, AtRisk float64
	HighCustomers    uint64
	HighAtRisk       float64
	Grid             []gridRow
	Top              []atRisk
	Trend            *trend
	Week             week
}

type gridRow struct {
	Band  string
	Cells []gridCell
	Total gridCell
}

// gridCell is one pair of bands. Heat is 0 to 5, by its share of what is at risk.
type gridCell struct {
	Churn, Value     string
	Customers        uint64
	AtRisk, Expected float64
	Heat             int
}

func (c *Console) overview(w http.ResponseWriter, r *http.Request) error {
	p := &overviewPage{}
	var bands []bandRow
	g, ctx := errgroup.WithContext(r.Context())
	g.Go(func() error { return c.ask(ctx, &bands, "customers_by_band") })
	g.Go(func() error { return c.ask(ctx, &p.Top, "customers_at_risk_most", param("limit", 10)) })
	g.Go(func() (err error) { p.Trend, err = c.trend(ctx); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	p.totals(bands)
	p.Grid = grid(bands)
	if p.Trend != nil {
		p.Week = p.Trend.week()
	}
	return c.render(w, r, http.StatusOK, "overview", "Overview", p)
}

func (p *overviewPage) totals(bands []bandRow) {
	for _, b := range bands {
		p.Customers += b.Customers
		p.Expected += b.Expected
		p.AtRisk += b.AtRisk
		if b.Churn == "high" {
			p.HighCustomers += b.Customers
			p.HighAtRisk += b.AtRisk
		}
	}
}

// grid lays the rows out by churn band and value band, with a total each.
func grid(bands []bandRow) []gridRow {
	at, most := map[[2]string]bandRow{}, 0.0
	for _, b := range bands {
		at[[2]string{b.Churn, b.Value}] = b
		most = max(most, b.AtRisk)
	}
	rows := make([]gridRow, 0, len(churnBands))
	for _, churn := range churnBands {
		row := gridRow{Band: churn, Total: gridCell{Churn: churn}}
		for _, value := range valueBands {
			b := at[[2]string{churn, value}]
			cell := gridCell{Churn: churn, Value: value, Customers: b.Customers, AtRisk: b.AtRisk, Expected: b.Expected}
			if most > 0 {
				cell.Heat = int(5*b.AtRisk/most + 0.5)
			}
			row.Cells = append(row.Cells, cell)
			row.Total.Customers += b.Customers
			row.Total.AtRisk += b.AtRisk
			row.Total.Expected += b.Expected
		}
		rows = append(rows, row)
	}
	return rows
}

// trendDays is how many days of the history the overview shows.
const trendDays = 90

// trendRow is a row of the query trend_by_day: one day and churn band.
type trendRow struct {
	Day       time.Time `ch:"day"`
	Churn     string    `ch:"churn_band"`
	Customers float64   `ch:"customers"`
	AtRisk    float64   `ch:"at_risk"`
}

// trend is the history by day, oldest first.
type trend struct {
	Days      []time.Time
	Customers map[string][]float64 // by churn band
	AtRisk    []float64
	Stack     chart
	Money     chart
}

// trend is nil where the summary by day is not there or not filled yet.
func (c *Console) trend(ctx context.Context) (*trend, error) {
	var rows []trendRow
	err := c.ask(ctx, &rows, "trend_by_day", param("days", trendDays))
	if missing(err) || err == nil && len(rows) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t := &trend{Customers: map[string][]float64{}}
	for _, r := range rows {
		if n := len(t.Days); n == 0 || !t.Days[n-1].Equal(r.Day) {
			t.Days, t.AtRisk = append(t.Days, r.Day), append(t.AtRisk, 0)
			for _, b := range churnBands {
				t.Customers[b] = append(t.Customers[b], 0)
			}
		}
		n := len(t.Days) - 1
		t.AtRisk[n] += r.AtRisk
		if counts := t.Customers[r.Churn]; counts != nil {
			counts[n] += r.Customers
		}
	}
	t.draw(symbolOf(c.o.Currency))
	return t, nil
}

func (t *trend) draw(currency string) {
	t.Stack = chart{Stacked: true, Unit: "count", Sync: "trend"}
	t.Money = chart{Unit: "money", Currency: currency, Sync: "trend", Series: []series{{Label: "Value at risk", Color: "accent"}}}
	for _, d := range t.Days {
		t.Stack.X = append(t.Stack.X, d.Unix())
	}
	t.Money.X = t.Stack.X
	for _, v := range t.AtRisk {
		t.Money.Series[0].add(v)
	}
	for _, b := range churnBands {
		s := series{Label: capital(b) + " risk", Color: "churn-" + b}
		for _, v := range t.Customers[b] {
			s.add(v)
		}
		t.Stack.Series = append(t.Stack.Series, s)
	}
}

// week is how the trend's newest day differs from the day a week before it, both
// of the day rows; nothing where the history is shorter.
type week struct{ Customers, High, AtRisk *move }

// move is a figure then and now.
type move struct{ From, To float64 }

func (m *move) String() string {
	if m.From == 0 {
		return count(m.To) + " more in a week"
	}
	return signed(100*(m.To-m.From)/m.From, 1) + " % in a week"
}

func (t *trend) week() (w week) {
	now := len(t.Days) - 1
	then := now - 7
	if then < 0 {
		return week{}
	}
	w = week{Customers: &move{}, High: &move{t.Customers["high"][then], t.Customers["high"][now]}, AtRisk: &move{t.AtRisk[then], t.AtRisk[now]}}
	for _, b := range churnBands {
		w.Customers.From += t.Customers[b][then]
		w.Customers.To += t.Customers[b][now]
	}
	return w
}
