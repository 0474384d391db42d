package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browsed are the pages of the shop, with how many charts each has.
var browsed = []struct {
	name, path, heading string
	charts              int
}{
	{"overview", "/", "Overview", 2},
	{"customers", "/customers", "Customers", 0},
	{"customer", "/customer?id=customer-0008", "customer-0008", 3},
	{"segments", "/segments", "Segments", 0},
	{"health", "/health", "Pipeline health", 1},
}

// TestBrowser holds the console in a headless Chromium. Every tab also fails on
// what its browser complains of, and on a request to any other host.
func TestBrowser(t *testing.T) {
	browser := startBrowser(t)
	server := httptest.NewServer(serve(t, testOptions(t)))
	t.Cleanup(server.Close)
	for _, c := range []struct {
		name string
		test func(*tab)
	}{
		{"links lead everywhere", followLinks},
		{"search finds and opens a customer", searchCustomer},
		{"charts have data", readCharts},
		{"a segment's size follows its filter", buildSegment},
		{"keys alone suffice", useKeysAlone},
		{"the Tab key reaches all", tabThrough},
		{"arrow keys read a chart", readChartByKeys},
		{"dark and light are legible", lookInBothThemes},
		{"the theme is chosen", chooseTheme},
		{"a phone shows everything", lookOnPhone},
		{"controls have names", nameControls},
		{"no scripts are needed", doWithoutScripts},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newTab(t, browser, server.URL)
			c.test(p)
			p.sound()
		})
	}
	t.Run("a token lets in", func(t *testing.T) { signIn(t, browser) })
	t.Run("every check can fail", func(t *testing.T) { findPlanted(t, browser) })
}

func followLinks(p *tab) {
	p.open("/")
	for _, to := range []struct{ link, title string }{
		{`nav a[href="/customers"]`, "Customers"}, {`nav a[href="/segments"]`, "Segments"}, {`nav a[href="/health"]`, "Pipeline health"}, {`.brand`, "Overview"},
		{`.grid td a`, "Segments"}, {`#main table .id`, ""}, {`.crumb a`, "Customers"}, {`nav a[href="/"]`, "Overview"}, {`#main table .id`, ""}, {`[data-load] .id`, ""},
	} {
		title := to.title
		if title == "" {
			title = p.text("#main " + strings.TrimPrefix(to.link, "#main "))
		}
		p.leave(func() { p.click(to.link) })
		if got := p.text("h1"); got != title || title == "" {
			p.Errorf("%s leads to %q, want %q", to.link, got, title)
		}
	}
}

func searchCustomer(p *tab) {
	p.open("/")
	p.click("#find")
	p.press("customer-000")
	p.until(`[...document.querySelectorAll("#found option")].some((o) => o.value === "customer-0007")`)
	p.press("7")
	p.leave(func() { p.press(kb.Enter) })
	if got := p.text("h1"); got != "customer-0007" {
		p.Errorf("one id found opens %q", got)
	}
	p.open("/customers")
	p.click("#q")
	p.press("customer-00")
	p.leave(func() { p.click("form.search:not(.find) button") })
	if n := ask[int](p, `document.querySelectorAll("#main tbody tr").length`); n != 50 || !strings.Contains(p.text("#h-found"), "customer-00") {
		p.Errorf("a search lists %d under %q", n, p.text("#h-found"))
	}
	p.leave(func() { p.click("#main tbody tr:nth-child(3) .id") })
	if got := p.text("h1"); got != "customer-0002" {
		p.Errorf("the third one found is %q", got)
	}
}

// chartSeen is what testdata/checks.js says of a chart.
type chartSeen struct {
	Values  int
	Day     string
	Stacked bool
	Series  []struct {
		Label, Legend  string
		Painted, Known int
		Sum            float64
		Marked         bool
	}
}

// faults lists what keeps a chart from being read.
func (c *chartSeen) faults() (complaints []string) {
	if c.Values == 0 || c.Day == "" || c.Day == "--" || len(c.Series) == 0 {
		complaints = append(complaints, fmt.Sprintf("%d values of %d series, the newest of the day %q", c.Values, len(c.Series), c.Day))
	}
	painted, sum := 0, 0.0
	for _, s := range c.Series {
		painted, sum = painted+s.Painted, sum+s.Sum
		if s.Known == 0 || s.Painted < 20 || s.Legend == "" || s.Legend == "--" || !s.Marked {
			complaints = append(complaints, fmt.Sprintf("%s: %d values, %d dots of its colour, legend %q, a marker of its colour: %v", s.Label, s.Known, s.Painted, s.Legend, s.Marked))
		}
	}
	// Of a stack, each series has the area of its values.
	for _, s := range c.Series {
		if c.Stacked && math.Abs(float64(s.Painted)/float64(painted)-s.Sum/sum) > 0.05 {
			complaints = append(complaints, fmt.Sprintf("%s: %d of %d dots for %v of %v", s.Label, s.Painted, painted, s.Sum, sum))
		}
	}
	return complaints
}

func readCharts(p *tab) {
	for _, page := range browsed {
		p.open(page.path)
		seen := check[[]chartSeen](p, "charts()")
		if len(seen) != page.charts {
			p.Errorf("%s has %d charts, want %d", page.name, len(seen), page.charts)
		}
		for _, c := range seen {
			if complaints := c.faults(); complaints != nil {
				p.Errorf("%s: %s", page.name, strings.Join(complaints, "; "))
			}
			// The table beside the charts holds as many days.
			if n := ask[int](p, `document.querySelectorAll("details table tbody tr").length`); n != c.Values {
				p.Errorf("%s: %d values are drawn, %d are in the table", page.name, c.Values, n)
			}
		}
	}
	p.open("/")
	for i, s := range check[[]chartSeen](p, "charts()")[0].Series {
		cell := fmt.Sprintf(`document.querySelector("details tbody tr:last-child").cells[%d].textContent`, i+1)
		if want := ask[string](p, cell); s.Legend != want {
			p.Errorf("%s: the legend says %s, the table %s", s.Label, s.Legend, want)
		}
	}
}

var digits = regexp.MustCompile(`[\d,]+`)

// size is the number of customers that the page Segments shows.
func size(p *tab) int {
	p.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(digits.FindString(p.text("[data-size] .big b")), ",", ""))
	if err != nil {
		p.Fatal(err)
	}
	return n
}

// exportedRows are the customers of the CSV that the page links to.
func exportedRows(p *tab) int {
	p.Helper()
	ask[bool](p, `(window.lines = 0, fetch(document.querySelector("[data-exports] a").href).then((r) => r.text()).then((t) => { window.lines = t.trim().split("\n").length; }), true)`)
	p.until("window.lines > 0")
	return ask[int](p, "window.lines") - 1
}

func buildSegment(p *tab) {
	p.open("/segments")
	high := size(p) // the page begins with a high churn risk
	if rows := exportedRows(p); high == 0 || high == 1000 || rows != high {
		p.Fatalf("%d customers have a high risk, the CSV has %d", high, rows)
	}
	p.click("[data-add]")
	choose(p, "li:nth-child(2) [name=f]", "orders_total")
	p.click("li:nth-child(2) [name=v]")
	p.press("12")
	both := sizeAfter(p, high)
	if rows := exportedRows(p); both == 0 || both > high || rows != both {
		p.Errorf("%d of these have 12 orders, the CSV has %d", both, rows)
	}
	p.leave(func() { p.click("[data-apply]") })
	if n := size(p); n != both {
		p.Errorf("the page of the filter says %d, its size said %d", n, both)
	}
	if first := ask[string](p, `document.querySelector("#h-who").parentElement.querySelector("tbody tr").innerText`); !strings.Contains(first, "High") {
		p.Errorf("the first of the segment is %q", first)
	}
	p.click("li:nth-child(2) [name=edit]")
	if n := sizeAfter(p, both); n != high {
		p.Errorf("without the second condition there are %d, with the first alone there were %d", n, high)
	}
	p.click("[name=edit]")
	if n := sizeAfter(p, high); n != 1000 {
		p.Errorf("without a condition there are %d", n)
	}
}

// choose picks an option as a reader does.
func choose(p *tab, selector, value string) {
	p.Helper()
	p.do(chromedp.Focus(chromedp.CSS(selector)))
	ask[bool](p, fmt.Sprintf(`{ const e = document.querySelector(%q); e.value = %q; e.dispatchEvent(new Event("input", { bubbles: true })) }`, selector, value))
}

// sizeAfter waits until the size is another than it was, and counted.
func sizeAfter(p *tab, was int) int {
	p.Helper()
	p.until(fmt.Sprintf(`!document.querySelector(".busy") && ![%q, undefined].includes(document.querySelector("[data-size] .big b")?.textContent)`, count(was)))
	return size(p)
}

// tabTo presses Tab until an element has the focus.
func tabTo(p *tab, selector string) {
	p.Helper()
	for range 150 {
		p.press(kb.Tab)
		if ask[bool](p, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
	}
	p.Fatalf("the Tab key does not reach %s", selector)
}

func useKeysAlone(p *tab) {
	p.open("/")
	p.press(kb.Tab)
	p.press(kb.Enter)
	p.until(`document.activeElement.id === "main"`) // by the link that skips the head
	for _, to := range []struct{ link, title string }{
		{`nav a[href="/customers"]`, "Customers"}, {`nav a[href="/health"]`, "Pipeline health"}, {`nav a[href="/"]`, "Overview"}, {`nav a[href="/segments"]`, "Segments"},
	} {
		tabTo(p, to.link)
		p.leave(func() { p.press(kb.Enter) })
		if got := p.text("h1"); got != to.title {
			p.Errorf("Enter on %s leads to %q", to.link, got)
		}
	}
	tabTo(p, "[name=f]")
	was := ask[string](p, "document.activeElement.value")
	p.press(kb.ArrowDown)
	p.until(fmt.Sprintf("document.activeElement.value !== %q", was))
	tabTo(p, "[data-add]")
	p.press(kb.Enter)
	p.until(`document.querySelectorAll("[name=f]").length === 2 && document.activeElement.matches("li:nth-child(2) [name=f]")`)
	tabTo(p, "li:nth-child(2) [name=edit]")
	p.press(kb.Enter)
	p.until(`document.querySelectorAll("[name=f]").length === 1 && document.activeElement.matches("[name=f]")`)

	tabTo(p, "#find")
	p.press("customer-0008")
	p.leave(func() { p.press(kb.Enter) })
	tabTo(p, "summary")
	p.press(kb.Enter)
	p.until(`document.querySelector("details").open && document.querySelector("details table").checkVisibility()`)
	tabTo(p, "[data-theme-toggle]")
	p.press(kb.Enter)
	p.until(`document.documentElement.dataset.theme === "dark"`)
}

func tabThrough(p *tab) {
	for _, page := range browsed {
		p.open(page.path)
		if missed := missedByTab(p); len(missed) > 0 {
			p.Errorf("%s: the Tab key misses, or nobody sees it reach: %s", page.name, strings.Join(missed, "; "))
		}
	}
}

// missedByTab presses Tab from the top of the page to its end and lists what
// never got the focus, or got it unseen.
func missedByTab(p *tab) []string {
	p.Helper()
	stops := check[[]string](p, "stops()")
	missed := slices.Clone(stops)
	for range 2 * len(stops) {
		p.press(kb.Tab)
		at := check[struct {
			Stop       int
			Seen, Body bool
		}](p, "at()")
		if at.Body {
			break
		}
		if at.Seen && at.Stop >= 0 {
			missed[at.Stop] = ""
		}
	}
	return slices.DeleteFunc(missed, func(s string) bool { return s == "" })
}

func readChartByKeys(p *tab) {
	p.open("/customer?id=customer-0008")
	row := func(fromEnd, cell int) string {
		return ask[string](p, fmt.Sprintf(`{ const r = document.querySelectorAll("details tbody tr"); r[r.length - %d].cells[%d].textContent }`, fromEnd, cell))
	}
	announced := func() string { return ask[string](p, `document.activeElement.getAttribute("aria-valuetext")`) }
	tabTo(p, `[role="slider"]`)
	for _, step := range []struct {
		key     string
		fromEnd int
	}{{"", 1}, {kb.ArrowRight, 1}, {kb.ArrowLeft, 2}, {kb.ArrowLeft, 3}, {kb.ArrowRight, 2}, {kb.Home, 28}, {kb.ArrowLeft, 28}, {kb.ArrowRight, 27}, {kb.End, 1}} {
		if step.key != "" {
			p.press(step.key)
		}
		want := fmt.Sprintf("%s: Churn risk %s", row(step.fromEnd, 0), row(step.fromEnd, 2))
		if got := announced(); got != want {
			p.Errorf("after the key %q the chart announces %q, want %q", step.key, got, want)
		}
		if legend := check[[]chartSeen](p, "charts()")[0]; legend.Day != row(step.fromEnd, 0) || legend.Series[0].Legend != row(step.fromEnd, 2) {
			p.Errorf("after the key %q the legend says %+v", step.key, legend)
		}
	}
	p.press(kb.ArrowLeft)
	if legend := check[[]chartSeen](p, "charts()")[1]; legend.Day != row(2, 0) {
		p.Errorf("the chart beside it stays at %s", legend.Day)
	}
	p.press(kb.Tab)
	if legend := check[[]chartSeen](p, "charts()")[0]; legend.Day != row(1, 0) {
		p.Errorf("without the focus the chart stays at %s", legend.Day)
	}
}

// leastContrast is what WCAG 2 asks of text, level AA.
const leastContrast = 4.5

func lookInBothThemes(p *tab) {
	for _, theme := range []string{"light", "dark"} {
		p.scheme(theme)
		for _, page := range browsed {
			p.open(page.path)
			ask[bool](p, `(document.querySelectorAll("details").forEach((d) => { d.open = true; }), true)`)
			if ground := check[float64](p, "ground()"); (theme == "dark") != (ground < 0.05) || (theme == "light") != (ground > 0.8) {
				p.Errorf("%s, %s: the page has a luminance of %.3f", page.name, theme, ground)
			}
			if pale := check[[]string](p, fmt.Sprintf("contrast(%v)", leastContrast)); len(pale) > 0 {
				p.Errorf("%s, %s: too pale:\n%s", page.name, theme, strings.Join(pale, "\n"))
			}
			for _, c := range check[[]chartSeen](p, "charts()") {
				if complaints := c.faults(); complaints != nil {
					p.Errorf("%s, %s: %s", page.name, theme, strings.Join(complaints, "; "))
				}
			}
		}
	}
	// A system that changes while a page is open: the charts follow.
	p.open("/")
	p.scheme("light")
	p.until(strings.TrimSpace(checks) + `.charts().every((c) => c.series.every((s) => s.painted > 20 && s.marked))`)
}

func chooseTheme(p *tab) {
	p.scheme("light")
	p.open("/")
	p.click("[data-theme-toggle]")
	for range 2 { // at once, and on the next page
		if ground := check[float64](p, "ground()"); ground > 0.05 {
			p.Errorf("the chosen dark has a luminance of %.3f", ground)
		}
		for _, c := range check[[]chartSeen](p, "charts()") {
			if complaints := c.faults(); complaints != nil {
				p.Error(strings.Join(complaints, "; "))
			}
		}
		p.open("/health")
	}
}

func lookOnPhone(p *tab) {
	p.do(chromedp.EmulateViewport(390, 844))
	for _, page := range browsed {
		p.open(page.path)
		if out := check[[]string](p, "sideways()"); len(out) > 0 {
			p.Errorf("%s: wider than the screen: %s", page.name, strings.Join(out, "; "))
		}
	}
}

func nameControls(p *tab) {
	for _, page := range browsed {
		p.open(page.path)
		if complaints := p.nameless(); len(complaints) > 0 {
			p.Errorf("%s: %s", page.name, strings.Join(complaints, "; "))
		}
		if n := ask[int](p, `document.querySelectorAll("h1").length`); n != 1 {
			p.Errorf("%s has %d headings of the first rank", page.name, n)
		}
	}
}

func doWithoutScripts(p *tab) {
	p.withoutScripts()
	for _, page := range browsed {
		p.open(page.path)
		if got := p.text("h1"); got != page.heading {
			p.Errorf("%s begins with %q", page.name, got)
		}
		if n := ask[int](p, `[...document.querySelectorAll("#main table tbody tr")].filter((r) => r.checkVisibility()).length`); n == 0 {
			p.Errorf("%s shows no rows", page.name)
		}
		if ask[int](p, `document.querySelectorAll("canvas").length`) != 0 || ask[bool](p, `document.querySelector("[data-theme-toggle]").checkVisibility()`) {
			p.Fatalf("%s runs scripts", page.name)
		}
	}
	p.open("/")
	if n := ask[int](p, `document.querySelectorAll("details tbody tr").length`); n != 28 {
		p.Errorf("%d days are in the table", n)
	}
	p.click("#find")
	p.press("customer-0007")
	p.leave(func() { p.press(kb.Enter) })
	p.leave(func() { p.click("[data-load] a") })
	if rows := p.text("table"); !strings.Contains(rows, "customer-0391") {
		p.Errorf("similar customers are %q", rows)
	}
	p.open("/segments")
	high := size(p)
	p.leave(func() { p.click("[data-add]") })
	p.do(chromedp.SetValue(chromedp.CSS("li:nth-child(2) [name=f]"), "orders_total"), chromedp.SetValue(chromedp.CSS("li:nth-child(2) [name=o]"), "ge"), chromedp.SetValue(chromedp.CSS("li:nth-child(2) [name=v]"), "12"))
	p.leave(func() { p.click("[data-apply]") })
	if n := size(p); n == 0 || n >= high {
		p.Errorf("%d customers have a high risk, %d of these 12 orders", high, n)
	}
}

func signIn(t *testing.T, browser context.Context) {
	o := testOptions(t)
	o.Token = "0123456789abcdef"
	server := httptest.NewServer(serve(t, o))
	t.Cleanup(server.Close)
	p := newTab(t, browser, server.URL)
	p.open("/customers")
	if got := p.text("h1"); got != "Sign in" {
		p.Fatalf("without the token: %q", got)
	}
	p.click("#token")
	p.press(o.Token)
	p.leave(func() { p.press(kb.Enter) })
	p.leave(func() { p.click(`nav a[href="/customers"]`) })
	if got := p.text("h1"); got != "Customers" {
		p.Errorf("with the token: %q", got)
	}
	p.sound()
}

// planted has one fault for each check.
const planted = `<!DOCTYPE html><html lang="en"><title>planted</title><style>:root { --accent: #00f } .pale { color: #999; background: #fff } .wide { width: 3000px } .dim { opacity: .3 }</style>
<p class="pale">pale words</p><p class="dim">dim words</p><p>good words</p><div class="wide">wide</div><button></button><input><button tabindex="-1">never reached</button><button style="outline: none">never seen</button>
<figure data-chart data-points="0"><script type="application/json">{"x": [1], "series": [{"label": "blank", "color": "accent", "values": [null]}]}</script><canvas></canvas></figure>
<img src="http://elsewhere.invalid/a.png" alt="a"><img src="/missing.png" alt="b">
<script>console.error("planted error"); console.warn("planted warning"); setTimeout(() => { throw new Error("planted exception"); })</script>`

// findPlanted shows every check a page with its fault.
func findPlanted(t *testing.T, browser context.Context) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(planted))
	}))
	t.Cleanup(server.Close)
	p := newTab(t, browser, server.URL)
	p.open("/")
	has := func(what string, complaints []string, want ...string) {
		for _, w := range want {
			if !slices.ContainsFunc(complaints, func(c string) bool { return strings.Contains(c, w) }) {
				t.Errorf("%s: %q is not found among %q", what, w, complaints)
			}
		}
	}
	pale := check[[]string](p, fmt.Sprintf("contrast(%v)", leastContrast))
	has("contrast", pale, "pale words", "dim words")
	if slices.ContainsFunc(pale, func(c string) bool { return strings.Contains(c, "good words") }) {
		t.Errorf("good words are called pale: %q", pale)
	}
	has("width", check[[]string](p, "sideways()"), "wide")
	has("names", p.nameless(), "a button", "a textbox")
	has("charts", check[[]chartSeen](p, "charts()")[0].faults(), "0 values")
	has("keys", missedByTab(p), "never reached", "never seen")
	p.mu.Lock()
	defer p.mu.Unlock()
	has("the browser's complaints", p.mishaps, "planted error", "planted warning", "planted exception", "request to outside: http://elsewhere.invalid", "answer 404", "log: ")
}
