package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// healthPage is what the page of the pipeline shows. Parts that this ClickHouse
// does not have are empty.
type healthPage struct {
	Topics        []topicRow
	Open          int64 // records whose end is not known yet
	Dead          []deadRow
	DeadTotal     uint64
	Diverted      *chart
	DivertedRows  []divertedRow
	Latency       *latencyRow
	Models        []modelRow
	Drift         []driftRow
	Quality       []qualityRow
	Lags          []StageLag
	LagProblem    string
	Behind        int64
	DriftKnown    bool
	QualityKnown  bool
	Customers     float64
	NewestScoring time.Time
}

type topicRow struct {
	Topic      string    `ch:"source_topic"`
	Partitions uint64    `ch:"partitions"`
	Records    int64     `ch:"records"`
	Applied    int64     `ch:"applied"`
	Duplicates int64     `ch:"duplicates"`
	Late       int64     `ch:"late"`
	Dead       int64     `ch:"dead_lettered"`
	Slowest    time.Time `ch:"slowest"`
	Newest     time.Time `ch:"newest"`
}

// Open is how many records are still on their way.
func (t topicRow) Open() int64 { return t.Records - t.Applied - t.Duplicates - t.Late - t.Dead }

type deadRow struct {
	Reason  string    `ch:"reason"`
	Field   string    `ch:"field"`
	Records uint64    `ch:"records"`
	Newest  time.Time `ch:"newest"`
}

type divertedRow struct {
	Day  time.Time `ch:"day"`
	Dead float64   `ch:"dead_lettered"`
	Late float64   `ch:"late"`
}

type latencyRow struct {
	Fresh     float64   `ch:"fresh"`
	Old       float64   `ch:"old"`
	Newest    time.Time `ch:"newest"`
	Quantiles []float64 `ch:"quantiles"` // 0.5, 0.95, 0.99, milliseconds
}

type modelRow struct {
	Version   string    `ch:"model_version"`
	Customers float64   `ch:"customers"`
	Textless  float64   `ch:"without_text"`
	Newest    time.Time `ch:"newest"`
}

type driftRow struct {
	Name  string    `ch:"name"`
	Model string    `ch:"model_version"`
	Day   time.Time `ch:"day"`
	PSI   *float64  `ch:"psi"`
	State string    `ch:"state"`
	Rows  uint64    `ch:"rows"`
}

type qualityRow struct {
	Week  time.Time `ch:"week"`
	Model string    `ch:"model_version"`
	Rows  uint64    `ch:"rows"`
	Churn float64   `ch:"churn_rate"`
	Mean  float64   `ch:"mean_probability"`
	AUC   *float64  `ch:"roc_auc"`
	Brier float64   `ch:"brier"`
	ECE   float64   `ch:"ece"`
}

// divertedDays is how many days of diverted records the page shows.
const divertedDays = 60

func (c *Console) health(w http.ResponseWriter, r *http.Request) error {
	p := &healthPage{}
	g, ctx := errgroup.WithContext(r.Context())
	g.Go(func() error { return c.ask(ctx, &p.Topics, "accounting_by_topic") })
	g.Go(func() error { return c.ask(ctx, &p.Dead, "console_dead_letters") })
	g.Go(func() error { return c.ask(ctx, &p.DivertedRows, "console_diverted_days", param("days", divertedDays)) })
	g.Go(func() error { return c.ask(ctx, &p.Models, "models_at_work") })
	g.Go(func() error { return c.latency(ctx, p) })
	g.Go(func() (err error) {
		p.DriftKnown, err = known(c.ask(ctx, &p.Drift, "drift_newest", param("limit", 12)))
		return err
	})
	g.Go(func() (err error) {
		p.QualityKnown, err = known(c.ask(ctx, &p.Quality, "model_quality_newest", param("limit", 12)))
		return err
	})
	g.Go(func() error { c.lag(ctx, p); return nil })
	if err := g.Wait(); err != nil {
		return err
	}
	p.sum()
	return c.render(w, r, http.StatusOK, "health", "Pipeline health", p)
}

// known turns a view that is not there into an empty part of the page.
func known(err error) (bool, error) {
	if missing(err) {
		return false, nil
	}
	return err == nil, err
}

func (c *Console) latency(ctx context.Context, p *healthPage) error {
	var rows []latencyRow
	if err := c.ask(ctx, &rows, "scoring_latency"); err != nil {
		return err
	}
	if len(rows) == 1 && rows[0].Fresh+rows[0].Old > 0 && len(rows[0].Quantiles) == 3 {
		p.Latency = &rows[0]
	}
	return nil
}

// lagLimit bounds the question to Kafka: the page shows the rest without it.
const lagLimit = 3 * time.Second

func (c *Console) lag(ctx context.Context, p *healthPage) {
	if c.o.Lag == nil {
		p.LagProblem = "The console was not told where Kafka is."
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lagLimit)
	defer cancel()
	var err error
	if p.Lags, err = c.o.Lag(ctx); err != nil {
		p.LagProblem = "Kafka does not answer, so how far the stages are behind is not known."
		c.o.Log.Warn("the lag is not known", "error", err.Error())
	}
	for _, l := range p.Lags {
		p.Behind += l.Behind
	}
}

func (p *healthPage) sum() {
	for _, t := range p.Topics {
		p.Open += t.Open()
	}
	for _, d := range p.Dead {
		p.DeadTotal += d.Records
	}
	for _, m := range p.Models {
		p.Customers += m.Customers
		if m.Newest.After(p.NewestScoring) {
			p.NewestScoring = m.Newest
		}
	}
	slices.Reverse(p.DivertedRows)
	if len(p.DivertedRows) == 0 {
		return
	}
	p.Diverted = &chart{Stacked: true, Unit: "count", Series: []series{{Label: "Late", Color: "churn-medium", Bars: true}, {Label: "Dead letters", Color: "churn-high", Bars: true}}}
	for _, d := range p.DivertedRows {
		p.Diverted.X = append(p.Diverted.X, d.Day.Unix())
		p.Diverted.Series[0].add(d.Late)
		p.Diverted.Series[1].add(d.Dead)
	}
}
