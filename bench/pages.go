package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"profilestream/e2e/harness"
	"profilestream/e2e/queries"
)

// page is a request to the console. Its answer may take longer than the limit
// where it is a file to keep.
type page struct {
	name, path string
	file       bool
}

// consolePages are the pages whose questions depend on what a reader enters, and
// those that ask several at once. The worst segment has twenty conditions, as many
// as the console takes, on the widest columns, of which any is enough.
var consolePages = []page{
	{"page_overview", "/", false},
	{"page_customers", "/customers", false},
	{"page_customer", "/customer?id=customer-0000007", false},
	{"page_suggest", "/customers/suggest?q=customer-00012", false},
	{"page_segments", "/segments?match=all&f=churn_band&o=is&v=high&f=orders_90d&o=ge&v=2", false},
	{"segment_size", "/segments/size?match=all&f=churn_band&o=is&v=high&f=orders_90d&o=ge&v=2", false},
	{"segment_size_worst", "/segments/size?match=any&" + worstFilter, false},
	{"page_segments_worst", "/segments?match=any&" + worstFilter, false},
	{"segment_csv", "/segments/export?format=csv&match=all&f=churn_band&o=is&v=high&f=orders_90d&o=ge&v=2", true},
	{"segment_parquet", "/segments/export?format=parquet&match=all&f=churn_band&o=is&v=high&f=orders_90d&o=ge&v=2", true},
	{"everybody_csv", "/segments/export?format=csv&match=all", true},
}

const worstFilter = "f=interests&o=has&v=nothing&f=interests&o=lacks&v=books&f=interests&o=has&v=nowhere&f=flags&o=has&v=bot&f=flags&o=has&v=hot" +
	"&f=sentiment&o=ge&v=2&f=at_risk&o=ge&v=100000&f=churn_probability&o=ge&v=2&f=value_expected&o=ge&v=100000&f=revenue_total&o=ge&v=9000000&f=orders_total&o=ge&v=100000" +
	"&f=events_total&o=ge&v=1000000&f=page_views_30d&o=ge&v=100000&f=sessions_30d&o=ge&v=100000&f=revenue_365d&o=ge&v=9000000&f=last_seen&o=since&v=2030-01-01" +
	"&f=first_seen&o=since&v=2030-01-01&f=last_order_at&o=since&v=2030-01-01&f=days_since_last_order&o=ge&v=5000&f=mean_order_gap_days&o=ge&v=5000"

// pages starts the console over the shop and asks for its pages.
func (b *boards) pages() {
	addr := fmt.Sprintf("127.0.0.1:%d", harness.FreePort(b))
	cmd := exec.Command(harness.Binary(b, "profilectl"), "console", "--listen", addr)
	cmd.Env = append(os.Environ(), "PROFILESTREAM_CLICKHOUSE_ADDR="+b.db.Addr, "PROFILESTREAM_CLICKHOUSE_DATABASE="+b.db.Name)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	harness.Eventually(b, time.Minute, "the console answers", func() error {
		_, err := fetch("http://" + addr + "/healthz")
		return err
	})
	for _, p := range consolePages {
		b.asked(p.name, !p.file, func() (queries.Answer, error) {
			n, err := fetch("http://" + addr + p.path)
			return queries.Answer{BytesRead: n}, err
		})
	}
}

// fetch reads a page to its end.
func fetch(url string) (bytes int64, err error) {
	res, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if bytes, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP %d", res.StatusCode)
	}
	return bytes, err
}
