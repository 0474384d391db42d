package simulate

import (
	"encoding/csv"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRetailRules(t *testing.T) {
	const file = `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE "HANGING" HEART ,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
536365,POST,POSTAGE,1,2010-12-01 08:27:00,18.001,17850,United Kingdom
536365,22752,FREE SAMPLE,2,2010-12-01 08:26:00,0.0,17850,United Kingdom
536366,M,Manual,1,12/1/2010 8:20,3.5,17850.0,France
C536379,D,Discount,-1,2010-12-01 09:41:00,27.50,14527,United Kingdom
C536383,35004C,SET OF 3 COLOURED FLYING DUCKS,-1,2010-12-01 09:49:00,4.65,15311,United Kingdom
536414,22139,lost,56,2010-12-01 11:52:00,0,,United Kingdom
536500,22139,wrong sign,-2,2010-12-01 11:52:00,1,1,United Kingdom
`
	var got []string
	sum, err := RetailEvents(strings.NewReader(file), "GBP", func(e Event) error {
		got = append(got, string(e.Value))
		if _, _, _, _, err := checkValue(e.Topic, e.Value); err != nil {
			t.Errorf("%s: %v", e.Value, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"event_id":"536366","user_id":"17850","type":"purchase","ts":"2010-12-01T08:20:00Z","order_id":"536366","total":3.5,"currency":"GBP","country":"France"}`,
		`{"event_id":"536365","user_id":"17850","type":"purchase","ts":"2010-12-01T08:26:00Z","order_id":"536365","items":[{"product_id":"85123A","name":"WHITE \"HANGING\" HEART","price":2.55,"quantity":6},{"product_id":"22752","name":"FREE SAMPLE","price":0,"quantity":2}],"total":33.301,"currency":"GBP","country":"United Kingdom"}`,
		`{"event_id":"C536379","user_id":"14527","type":"refund","ts":"2010-12-01T09:41:00Z","order_id":"C536379","total":27.5,"currency":"GBP","country":"United Kingdom"}`,
		`{"event_id":"C536383","user_id":"15311","type":"refund","ts":"2010-12-01T09:49:00Z","order_id":"C536383","items":[{"product_id":"35004C","name":"SET OF 3 COLOURED FLYING DUCKS","price":4.65,"quantity":1}],"total":4.65,"currency":"GBP","country":"United Kingdom"}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if sum.SkippedNoUser != 1 || sum.SkippedAmounts != 1 || sum.AmountOnlyLines != 3 || sum.Customers != 3 {
		t.Errorf("%+v", sum)
	}
}

func TestRetailHeadersAndTimesVary(t *testing.T) {
	const want = `{"event_id":"1","user_id":"7","type":"purchase","ts":"2010-12-01T08:26:00Z","order_id":"1","items":[{"product_id":"22","name":"HEART","price":2.5,"quantity":6}],"total":15,"currency":"GBP","country":"France"}`
	for _, file := range []string{
		"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n1,22,HEART,6,2010-12-01 08:26:00,2.5,7,France\n",
		"Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\r\n1,22,HEART,6,2010-12-01T08:26:00,2.50,7.0,France\r\n",
		"\ufeff\"InvoiceNo\",\"StockCode\",\"Description\",\"Quantity\",\"InvoiceDate\",\"UnitPrice\",\"CustomerID\",\"Country\"\n1,22,HEART,6,12/1/2010 8:26:00,2.5,7,France\n",
		"customer_id,invoice_no,invoice_date,stock_code,description,quantity,unit_price,country\n7,1,12/1/2010 8:26,22,HEART,6.0,2.5,France\n",
	} {
		var got []string
		if _, err := RetailEvents(strings.NewReader(file), "GBP", func(e Event) error { got = append(got, string(e.Value)); return nil }); err != nil {
			t.Errorf("%v\n%s", err, file)
		} else if strings.Join(got, "\n") != want {
			t.Errorf("got\n%s\nof\n%s", strings.Join(got, "\n"), file)
		}
	}
}

func TestRetailTotalsAreTheFiles(t *testing.T) {
	dir := os.Getenv("PROFILESTREAM_DATA")
	if dir == "" {
		t.Skip("SKIPPED: PROFILESTREAM_DATA does not name the data folder: the Online Retail file was not converted")
	}
	for _, name := range []string{"online_retail_tiny.csv.gz", "online_retail_dev.csv.gz"} {
		path := filepath.Join(dir, name)
		bought, returned, lines := fileTotals(t, path)
		r, err := OpenRetail(path)
		if err != nil {
			t.Fatal(err)
		}
		ids, last := map[string]bool{}, int64(0)
		sum, err := RetailEvents(r, "GBP", func(e Event) error {
			if _, _, _, millis, err := checkValue(e.Topic, e.Value); err != nil || millis < last {
				t.Errorf("%s: %v", e.Value, err)
			} else {
				last = millis
			}
			if ids[e.ID] {
				t.Errorf("invoice %s twice", e.ID)
			}
			ids[e.ID] = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if sum.Lines != lines || sum.Items+sum.AmountOnlyLines != lines || sum.SkippedAmounts+sum.SkippedNoUser != 0 {
			t.Errorf("%s: %d lines, %+v", name, lines, sum)
		}
		if b := big.NewRat(sum.PurchasesMicros, 1e6); b.Cmp(bought) != 0 {
			t.Errorf("%s: purchases are %s, the file has %s", name, b.FloatString(6), bought.FloatString(6))
		}
		if b := big.NewRat(sum.RefundsMicros, 1e6); b.Cmp(returned) != 0 {
			t.Errorf("%s: refunds are %s, the file has %s", name, b.FloatString(6), returned.FloatString(6))
		}
		t.Logf("%s: %+v", name, sum)
	}
}

// fileTotals sums quantity x price of a file's purchases and cancellations in rationals.
func fileTotals(t *testing.T, path string) (bought, returned *big.Rat, lines int64) {
	t.Helper()
	r, err := OpenRetail(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only read from
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	bought, returned = new(big.Rat), new(big.Rat)
	for _, row := range rows[1:] {
		q, _ := new(big.Rat).SetString(row[3])
		p, _ := new(big.Rat).SetString(row[5])
		q.Mul(q, p)
		if strings.HasPrefix(row[0], "C") {
			returned.Sub(returned, q)
		} else {
			bought.Add(bought, q)
		}
	}
	return bought, returned, int64(len(rows) - 1)
}
