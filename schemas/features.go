package schemas

import (
	"strconv"
	"time"

	"github.com/zeebo/xxh3"
)

// SemanticsVersion changes whenever the meaning of a feature changes while its
// name stays. It is part of the configuration version of every row.
const SemanticsVersion = 1

// Type says how the values of a feature are held in Arrow and in ClickHouse.
type Type uint8

const (
	// Count is an int64 that is never negative.
	Count Type = iota
	// Money is an int64 of millionths of the configured currency.
	Money
	// Time is an int64 of milliseconds since 1970, UTC.
	Time
	// Days is a whole number of days, held as int64.
	Days
	// Ratio is a float64.
	Ratio
)

// Window is one rolling window: as of T it holds the events with
// floor(T, Tile) + Tile - Length <= ts <= T.
type Window struct {
	Name   string
	Length time.Duration
	Tile   time.Duration
}

// Windows lists the rolling windows, shortest first.
var Windows = [...]Window{
	{"1h", time.Hour, 5 * time.Minute},
	{"24h", 24 * time.Hour, time.Hour},
	{"7d", 7 * 24 * time.Hour, 24 * time.Hour},
	{"30d", 30 * 24 * time.Hour, 24 * time.Hour},
	{"90d", 90 * 24 * time.Hour, 24 * time.Hour},
	{"365d", 365 * 24 * time.Hour, 24 * time.Hour},
}

// Positions of the windows in Windows.
const (
	Window1h = iota
	Window24h
	Window7d
	Window30d
	Window90d
	Window365d
	NumWindows
)

// Measure is one aggregate that every window has.
type Measure struct {
	Name string
	Type Type
	Doc  string
}

// Measures lists the aggregates of a window in column order.
var Measures = [...]Measure{
	{"page_views", Count, "page_view and product_view events"},
	{"product_views", Count, "product_view events"},
	{"searches", Count, "search events"},
	{"cart_adds", Count, "add_to_cart events"},
	{"ad_clicks", Count, "ad_click events"},
	{"refunds", Count, "refund events"},
	{"orders", Count, "purchase events"},
	{"items", Count, "sum of the quantities of purchases"},
	{"revenue", Money, "purchases minus refunds, each by its own time; may be negative"},
	{"distinct_products", Count, "distinct product ids of events of every type"},
	{"distinct_categories", Count, "distinct categories of events of every type"},
	{"active_days", Count, "UTC days with an event"},
	{"sessions", Count, "maximal runs of consecutive UTC half-hours with an event"},
}

// Positions of the measures in Measures.
const (
	PageViews = iota
	ProductViews
	Searches
	CartAdds
	AdClicks
	Refunds
	Orders
	Items
	Revenue
	DistinctProducts
	DistinctCategories
	ActiveDays
	Sessions
	NumMeasures
)

// Positions of the whole-life features, counted from NumWindowFeatures.
const (
	FirstSeen = iota
	LastSeen
	LastOrderAt
	OrdersTotal
	RevenueTotal
	EventsTotal
	DaysSinceLastEvent
	DaysSinceLastOrder
	MeanOrderGapDays
	NumLife
)

// Sizes of the feature list.
const (
	NumWindowFeatures = NumWindows * NumMeasures
	NumFeatures       = NumWindowFeatures + NumLife
)

// Feature is one numeric input of the models and one column of every table.
type Feature struct {
	Name     string
	Type     Type
	Nullable bool
	Doc      string
	// Window and Measure are positions in Windows and Measures, -1 for the
	// features of the whole life.
	Window, Measure int
}

var life = [NumLife]Feature{
	{Name: "first_seen", Type: Time, Doc: "time of the first applied event"},
	{Name: "last_seen", Type: Time, Doc: "time of the last applied event"},
	{Name: "last_order_at", Type: Time, Nullable: true, Doc: "time of the last purchase"},
	{Name: "orders_total", Type: Count, Doc: "purchase events of the whole life"},
	{Name: "revenue_total", Type: Money, Doc: "purchases minus refunds of the whole life"},
	{Name: "events_total", Type: Count, Doc: "applied events of the whole life"},
	{Name: "days_since_last_event", Type: Days, Doc: "floor((as_of - last_seen) / 24h)"},
	{Name: "days_since_last_order", Type: Days, Nullable: true, Doc: "floor((as_of - last_order_at) / 24h)"},
	{Name: "mean_order_gap_days", Type: Ratio, Nullable: true, Doc: "(last - first purchase) / (purchases - 1) in days; NULL under two purchases"},
}

// Features lists every feature in column order: the measures of each window,
// shortest window first, then the whole-life features.
var Features = list()

// At returns the position in Features of a measure of a window.
func At(window, measure int) int { return window*NumMeasures + measure }

// Life returns the position in Features of a whole-life feature.
func Life(i int) int { return NumWindowFeatures + i }

func list() []Feature {
	fs := make([]Feature, 0, NumFeatures)
	for w, win := range Windows {
		for m, meas := range Measures {
			fs = append(fs, Feature{
				Name: meas.Name + "_" + win.Name, Type: meas.Type,
				Doc:    meas.Doc + ", over the last " + win.Name,
				Window: w, Measure: m,
			})
		}
	}
	for _, f := range life {
		f.Window, f.Measure = -1, -1
		fs = append(fs, f)
	}
	return fs
}

// FeatureHash identifies the feature list (names, types, order and meaning). A
// model bundle trained on another list does not fit.
func FeatureHash() string {
	h := xxh3.New()
	_, _ = h.WriteString("semantics " + strconv.Itoa(SemanticsVersion))
	for _, f := range Features {
		_, _ = h.WriteString("\n" + f.Name + " " + strconv.Itoa(int(f.Type)) + " " + strconv.FormatBool(f.Nullable))
	}
	return strconv.FormatUint(h.Sum64(), 16)
}
