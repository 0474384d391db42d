package simulate

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RetailSummary counts what became of an Online Retail file's lines.
type RetailSummary struct {
	Lines           int64  `json:"lines"`
	Events          int64  `json:"events"`
	Purchases       int64  `json:"purchases"`
	Refunds         int64  `json:"refunds"`
	Customers       int64  `json:"customers"`
	Items           int64  `json:"items"`             // lines that became items
	AmountOnlyLines int64  `json:"amount_only_lines"` // codes that are no products: in the total only
	SkippedNoUser   int64  `json:"skipped_no_user"`
	SkippedAmounts  int64  `json:"skipped_amounts"` // quantity of the wrong sign or zero, negative price
	PurchasesMicros int64  `json:"purchases_micros"`
	RefundsMicros   int64  `json:"refunds_micros"`
	FirstEvent      string `json:"first_event"`
	LastEvent       string `json:"last_event"`
}

// retailLine is one usable line of an invoice.
type retailLine struct {
	code, name  string
	quantity    int64
	priceMicros int64
}

// invoice is what becomes one event.
type invoice struct {
	number, user, country string
	millis                int64
	lines                 []retailLine
}

// RetailEvents reads an Online Retail file (CSV with a header) and yields one
// purchase or refund an invoice and customer, by time.
//
//   - Times are taken as UTC; an invoice's time is that of its first line.
//   - Invoice numbers starting with C are cancellations: refunds, whose
//     quantities are written positive. event_id is the invoice number.
//   - total is the sum of all lines; items are the lines that are products.
//     Codes that do not start with a digit (POST, D, M, BANK CHARGES, DOT, ...)
//     count in the total only.
//   - A price of zero stays: such an item is part of the order and free.
//   - Lines without a customer, with a quantity of the wrong sign (stock
//     corrections) or with a negative price are skipped and counted.
func RetailEvents(r io.Reader, currency string, yield func(Event) error) (RetailSummary, error) {
	var sum RetailSummary
	invoices, err := readInvoices(r, &sum)
	if err != nil {
		return sum, err
	}
	users := map[string]struct{}{}
	for _, in := range invoices {
		e := retailEvent(in, currency, &sum)
		users[in.user] = struct{}{}
		if sum.Events == 0 {
			sum.FirstEvent = time.UnixMilli(in.millis).UTC().Format(millisLayout)
		}
		sum.LastEvent = time.UnixMilli(in.millis).UTC().Format(millisLayout)
		sum.Events++
		if err := yield(e); err != nil {
			return sum, fmt.Errorf("yielding invoice %d: %w", sum.Events, err)
		}
	}
	sum.Customers = int64(len(users))
	return sum, nil
}

var retailColumns = [][]string{
	{"invoiceno", "invoice"}, {"stockcode"}, {"description"}, {"quantity"},
	{"invoicedate"}, {"unitprice", "price"}, {"customerid"}, {"country"},
}

// ignored is what headers of the same column differ in: a byte order mark and the
// quotes after it, spaces, and underscores.
var ignored = strings.NewReplacer("\ufeff", "", `"`, "", " ", "", "_", "")

// readInvoices groups the lines by invoice and customer, in order of time.
func readInvoices(r io.Reader, sum *RetailSummary) ([]*invoice, error) {
	c := csv.NewReader(r)
	c.ReuseRecord, c.LazyQuotes = true, true
	header, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	at := make([]int, len(retailColumns))
	for i, names := range retailColumns {
		at[i] = slices.IndexFunc(header, func(h string) bool {
			h = strings.ToLower(ignored.Replace(h))
			return slices.Contains(names, h)
		})
		if at[i] < 0 && i != len(retailColumns)-1 {
			return nil, fmt.Errorf("reading the header: no column %q", names[0])
		}
	}
	var all []*invoice
	byKey := map[[2]string]*invoice{}
	for {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading line %d: %w", sum.Lines+2, err)
		}
		sum.Lines++
		if err := addLine(rec, at, byKey, &all, sum); err != nil {
			return nil, fmt.Errorf("line %d: %w", sum.Lines+1, err)
		}
	}
	slices.SortStableFunc(all, func(a, b *invoice) int { return cmp.Compare(a.millis, b.millis) })
	return all, nil
}

func addLine(rec []string, at []int, byKey map[[2]string]*invoice, all *[]*invoice, sum *RetailSummary) error {
	field := func(i int) string {
		if at[i] < 0 || at[i] >= len(rec) {
			return ""
		}
		return strings.TrimSpace(toUTF8(rec[at[i]]))
	}
	number, user := field(0), strings.TrimSuffix(field(6), ".0")
	if user == "" {
		sum.SkippedNoUser++
		return nil
	}
	quantity, err := strconv.ParseInt(strings.TrimSuffix(field(3), ".0"), 10, 64)
	if err != nil {
		return fmt.Errorf("quantity: %w", err)
	}
	price, err := parseMicros(field(5))
	if err != nil {
		return fmt.Errorf("price: %w", err)
	}
	millis, err := parseRetailTime(field(4))
	if err != nil {
		return err
	}
	if isCancellation(number) {
		quantity = -quantity
	}
	if quantity <= 0 || price < 0 {
		sum.SkippedAmounts++
		return nil
	}
	key := [2]string{number, user}
	in := byKey[key]
	if in == nil {
		in = &invoice{number: number, user: user, country: field(7), millis: millis}
		byKey[key] = in
		*all = append(*all, in)
	}
	in.lines = append(in.lines, retailLine{field(1), field(2), quantity, price})
	return nil
}

func isCancellation(number string) bool {
	return strings.HasPrefix(number, "C") || strings.HasPrefix(number, "c")
}

// isProduct tells products from codes such as POST, D, M or BANK CHARGES.
func isProduct(code string) bool { return code != "" && code[0] >= '0' && code[0] <= '9' }

func retailEvent(in *invoice, currency string, sum *RetailSummary) Event {
	e := Event{
		Topic: TopicPurchases, Key: []byte(in.user), KafkaMillis: in.millis + secondMillis, TimeMillis: in.millis,
		Type: "purchase", User: in.user, ID: in.number,
	}
	if isCancellation(in.number) {
		e.Type = "refund"
	}
	total := int64(0)
	items := make([]byte, 0, 128*len(in.lines))
	for _, l := range in.lines {
		total += l.priceMicros * l.quantity
		if !isProduct(l.code) {
			sum.AmountOnlyLines++
			continue
		}
		sum.Items++
		if len(items) > 0 {
			items = append(items, ',')
		}
		items = append(items, `{"product_id":`...)
		items = appendString(items, l.code)
		if l.name != "" {
			items = appendField(items, "name", l.name)
		}
		items = append(items, `,"price":`...)
		items = appendMicros(items, l.priceMicros)
		items = append(items, `,"quantity":`...)
		items = append(strconv.AppendInt(items, l.quantity, 10), '}')
	}
	b := appendField([]byte{'{'}, "event_id", in.number)
	b = append(b[:1], b[2:]...) // no comma before the first field
	b = appendField(b, "user_id", in.user)
	b = appendField(b, "type", e.Type)
	b = appendField(b, "ts", time.UnixMilli(in.millis).UTC().Format("2006-01-02T15:04:05Z"))
	b = appendField(b, "order_id", in.number)
	if len(items) > 0 {
		b = append(b, `,"items":[`...)
		b = append(append(b, items...), ']')
	}
	b = append(b, `,"total":`...)
	b = appendMicros(b, total)
	if currency != "" {
		b = appendField(b, "currency", currency)
	}
	if in.country != "" {
		b = appendField(b, "country", in.country)
	}
	e.Value = append(b, '}')
	e.AmountCents = (total + 5000) / 10000
	if e.Type == "refund" {
		sum.Refunds++
		sum.RefundsMicros += total
	} else {
		sum.Purchases++
		sum.PurchasesMicros += total
	}
	return e
}

// OpenRetail opens an Online Retail file, unpacking it where its name ends in .gz.
func OpenRetail(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the retail file: %w", err)
	}
	if !strings.HasSuffix(path, ".gz") {
		return f, nil
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("unpacking %s: %w", path, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}
