package console

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/parquet/file"

	"profilestream/stream/clickhouse"
)

func TestPages(t *testing.T) {
	h := serve(t, testOptions(t))
	for _, c := range []struct {
		name, path string
		status     int
		want       []string
	}{
		{"overview", "/", 200, []string{"1,000", "Value at risk", "% in a week", "Customers by churn risk", "customer-0152", "Days since last order", `<td class="n">32</td>`}},
		{"customers", "/customers", 200, []string{"customer-0000", "first 50"}},
		{"search", "/customers?q=customer-00", 200, []string{"customer-0007"}},
		{"search nobody", "/customers?q=%27%3B+DROP", 200, []string{"No id begins with"}},
		{"one found", "/customers?q=customer-0007", 303, nil},
		{"suggest", "/customers/suggest?q=customer-000", 200, []string{`"customer-0007"`}},
		{"customer", "/customer?id=customer-0008", 200, []string{"customer-0008", "What changed since last week", "Over time", "raises", "/customer/similar?id=customer-0008"}},
		{"similar", "/customer/similar?id=customer-0007", 200, []string{"customer-0391", "100%"}},
		{"no such customer", "/customer?id=nobody", 404, []string{"no customer of this id"}},
		{"segments", "/segments", 200, []string{"customers", "WHERE"}},
		{"health", "/health", 200, []string{"clickstream", "Bad json", "profile.live.scored", "sample-1/f32", "Drift"}},
		{"login", "/login", 200, []string{"Token"}},
		{"no such page", "/nowhere", 404, []string{"no such page"}},
		{"half a filter", "/segments?f=orders_90d", 400, []string{"not complete"}},
		{"wrong number", "/segments/size?f=orders_90d&o=ge&v=many", 200, []string{"Enter a number"}},
		{"unknown format", "/segments/export?format=exe", 400, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := get(t, h, c.path)
			if status != c.status {
				t.Fatalf("status %d, want %d: %s", status, c.status, body)
			}
			if strings.Contains(body, "%!") {
				t.Errorf("a value is not written as it should be:\n%s", body)
			}
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("the page lacks %q:\n%s", want, body)
				}
			}
		})
	}
}

func TestSizesOfSegments(t *testing.T) {
	o := testOptions(t)
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct{ name, query, where string }{
		{"everybody", "match=all", "1"},
		{"a band", "f=churn_band&o=is&v=high", "churn_band = 'high'"},
		{"two", "f=churn_band&o=not&v=high&f=orders_90d&o=ge&v=3", "churn_band != 'high' AND orders_90d >= 3"},
		{"any", "match=any&f=value_band&o=is&v=low&f=at_risk&o=ge&v=20.5", "value_band = 'low' OR value_expected * churn_probability >= 20.5"},
		{"money", "f=revenue_365d&o=le&v=40", "revenue_365d <= 40"},
		{"a day", "f=last_order_at&o=before&v=2026-01-01", "last_order_at < toDateTime('2026-01-01 00:00:00', 'UTC')"},
		{"never", "f=mean_order_gap_days&o=none&v=", "mean_order_gap_days IS NULL"},
		{"interest", "f=interests&o=has&v=books", "mapContains(interests, 'books')"},
		{"no interest", "f=interests&o=lacks&v=books", "NOT mapContains(interests, 'books')"},
		{"mood", "f=sentiment&o=le&v=-0.5", "sentiment <= -0.5"},
		{"injection", "f=interests&o=has&v=" + url.QueryEscape(`x'); DROP TABLE profiles -- \' {p0:String}`), "0"},
	} {
		t.Run(s.name, func(t *testing.T) {
			q, err := url.ParseQuery(s.query)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parseFilter(q)
			if err != nil || f.Complaint() != "" {
				t.Fatal(err, f.Complaint())
			}
			var want, written uint64
			if err := o.Reader.QueryRow(t.Context(), "SELECT count() FROM profiles_latest WHERE "+s.where).Scan(&want); err != nil {
				t.Fatal(err)
			}
			if err := o.Reader.QueryRow(t.Context(), "SELECT count() FROM ("+memberSQL(f.literal())+")").Scan(&written); err != nil {
				t.Fatal(err)
			}
			sums, err := c.sums(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if sums.Customers != want || written != want || sums.All != 1000 {
				t.Errorf("bound %d of %d, as a view %d, want %d", sums.Customers, sums.All, written, want)
			}
		})
	}
}

func TestExports(t *testing.T) {
	h := serve(t, testOptions(t))
	_, size := get(t, h, "/segments/size?f=churn_band&o=is&v=low")
	_, body := get(t, h, "/segments/export?format=csv&f=churn_band&o=is&v=low")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) < 2 || !strings.Contains(size, "<b>"+count(len(rows)-1)+"</b>") {
		t.Fatalf("%d rows, %v, beside %s", len(rows), err, size)
	}
	_, body = get(t, h, "/segments/export?format=parquet&f=churn_band&o=is&v=low")
	p, err := file.NewParquetReader(bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.NumRows() != int64(len(rows)-1) {
		t.Errorf("%d rows of Parquet, %d of CSV", p.NumRows(), len(rows)-1)
	}
	if got := unformulated("=HYPERLINK(1)"); got != "'=HYPERLINK(1)" {
		t.Errorf("a formula is exported as %s", got)
	}
}

func TestSaving(t *testing.T) {
	o := testOptions(t)
	form := url.Values{"f": {"interests", "churn_band"}, "o": {"has", "is"}, "v": {"o'clock {x:String}", "high"}, "name": {"a_test"}}
	if status, body := post(t, serve(t, o), "/segments/save", form, nil); status != http.StatusForbidden || !strings.Contains(body, "--allow-save") {
		t.Fatalf("without the flag: %d", status)
	}
	writer, err := clickhouse.OpenWriter(shop)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	o.Writer = writer
	h := serve(t, o)
	for _, c := range []struct {
		name, view string
		header     http.Header
		status     int
	}{
		{"bad name", "a-b", nil, 400},
		{"injected name", "a` AS SELECT 1", nil, 400},
		{"no name", "", nil, 400},
		{"another site", "a_test", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"good", "a_test", nil, 201},
		{"again", "a_test", nil, 409},
	} {
		form.Set("name", c.view)
		if status, body := post(t, h, "/segments/save", form, c.header); status != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, status, c.status, body)
		}
	}
	var n uint64
	if err := o.Reader.QueryRow(t.Context(), "SELECT count() FROM segment_a_test").Scan(&n); err != nil {
		t.Errorf("the view cannot be read: %v", err)
	}
	if err := o.Reader.Exec(t.Context(), "CREATE VIEW segment_b AS SELECT 1"); !hasCode(err, 164) {
		t.Errorf("the reader may write: %v", err)
	}
}

func TestWhoMayLook(t *testing.T) {
	o := testOptions(t)
	request := func(h http.Handler, host string, change func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/customers", nil)
		if change != nil {
			change(r)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := request(serve(t, o), "evil.example", nil); w.Code != http.StatusForbidden {
		t.Errorf("another name for this machine: %d", w.Code)
	}
	w := request(serve(t, o), "127.0.0.1:9180", nil)
	if csp := w.Header().Get("Content-Security-Policy"); w.Code != 200 || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("%d, policy %s", w.Code, csp)
	}
	if strings.Contains(w.Body.String(), "style=") || strings.Contains(w.Body.String(), "onclick") {
		t.Error("a page holds styles or scripts of its own")
	}
	o.Token = "0123456789abcdef"
	h := serve(t, o)
	if w := request(h, "console.example", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", w.Code)
	}
	if w := request(h, "console.example", func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }); w.Code != http.StatusUnauthorized {
		t.Errorf("with a wrong token: %d", w.Code)
	}
	if w := request(h, "console.example", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+o.Token) }); w.Code != 200 {
		t.Errorf("with the token: %d", w.Code)
	}
	if status, _ := post(t, h, "/login", url.Values{"token": {"wrong"}}, nil); status != http.StatusUnauthorized {
		t.Errorf("login with a wrong token: %d", status)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/login", strings.NewReader("token="+o.Token))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	in := httptest.NewRecorder()
	h.ServeHTTP(in, r)
	cookies := in.Result().Cookies()
	if len(cookies) != 1 || cookies[0].SameSite != http.SameSiteStrictMode || !cookies[0].HttpOnly || strings.Contains(cookies[0].Value, o.Token) {
		t.Fatalf("cookies %v", cookies)
	}
	if w := request(h, "console.example", func(r *http.Request) { r.AddCookie(cookies[0]) }); w.Code != 200 {
		t.Errorf("with the cookie: %d", w.Code)
	}
	for addr, token := range map[string]string{"0.0.0.0:1": "", ":1": "", "nowhere": "", "127.0.0.1:1": "short"} {
		if CheckListen(addr, token) == nil {
			t.Errorf("%s with the token %q is let through", addr, token)
		}
	}
}

func TestClickHouseAway(t *testing.T) {
	away := shop
	away.Addr = []string{"127.0.0.1:1"}
	o := testOptions(t)
	var err error
	if o.Reader, err = clickhouse.OpenReader(away, QueryLimit); err != nil {
		t.Fatal(err)
	}
	defer o.Reader.Close()
	if status, body := get(t, serve(t, o), "/customers?q=secret-id"); status != http.StatusServiceUnavailable || !strings.Contains(body, "does not answer") {
		t.Errorf("%d: %s", status, body)
	}
}

func TestNumbersAsPeopleWriteThem(t *testing.T) {
	m := money{"£"}
	for v, want := range map[float64]string{0: "£0.00", 12.5: "£12.50", 120.4: "£120", 9876.4: "£9,876", 312_400: "£312k", 1_240_000: "£1.24M", -5: "−£5.00", 999.7: "£1,000"} {
		if got := m.short(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
	for column, want := range map[string]string{"orders_90d": "Orders, 90 days", "days_since_last_order": "Days since last order", "p_alive": "P alive"} {
		if got := Label(column); got != want {
			t.Errorf("%s is %q, want %q", column, got, want)
		}
	}
	if count(-1234567) != "−1,234,567" || percent(0.0512) != "5.1%" || m.exact(1234.5) != "£1,234.50" {
		t.Error(count(-1234567), percent(0.0512), m.exact(1234.5))
	}
}
