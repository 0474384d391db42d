package profile

import (
	"bytes"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/schemas"
)

// The configuration and Kafka timestamp of the tests.
var (
	testRates = map[string]string{"USD": "0.79", "JPY": "0.005", "IDR": "0.000048123456789012", "BTC": "1000000", "EUR": "1"}
	testNow   = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC).UnixMilli()
)

const testSkew = 300_000

func testParser(tb testing.TB) (*Parser, reference) {
	tb.Helper()
	p, err := NewParser(ParserConfig{MaxFutureSkewMillis: testSkew, Currency: "GBP", Rates: testRates})
	if err != nil {
		tb.Fatal(err)
	}
	ref := reference{skew: testSkew, currency: "GBP", rates: map[string]*big.Rat{}}
	for currency, text := range testRates {
		ref.rates[currency], _ = new(big.Rat).SetString(text)
	}
	return p, ref
}

func TestPoisonCorpusIsRejectedWithItsReasons(t *testing.T) {
	p, _ := testParser(t)
	cases := schemas.Poison()
	if len(cases) < 24 {
		t.Fatalf("only %d poison classes", len(cases))
	}
	reasons := map[string]bool{}
	for _, c := range cases {
		t.Run(c.Class, func(t *testing.T) {
			kind, ok := KindOfTopic(c.Topic)
			if !ok {
				t.Fatalf("topic %q", c.Topic)
			}
			var e Event
			want := Reject{c.Reason, c.Field}
			switch got := p.Parse(c.Value, kind, testNow, &e); {
			case got == nil:
				t.Fatalf("accepted, want %v", want)
			case *got != want:
				t.Fatalf("%v, want %v", *got, want)
			}
		})
		reasons[c.Reason] = true
	}
	for _, r := range []string{
		ReasonTooLarge, ReasonBadJSON, ReasonTooDeep, ReasonMissingField, ReasonWrongType, ReasonBadID,
		ReasonUnknownType, ReasonBadTime, ReasonFuture, ReasonBadAmount, ReasonBadCurrency,
	} {
		if !reasons[r] {
			t.Errorf("no class has the reason %s", r)
		}
	}
}

func TestGoldenEventsAreReadAsTheySay(t *testing.T) {
	p, _ := testParser(t)
	types := map[Type]bool{}
	for _, g := range schemas.GoldenEvents() {
		t.Run(g.Name, func(t *testing.T) {
			kind, _ := KindOfTopic(g.Topic)
			var e Event
			if r := p.Parse(g.Value, kind, testNow, &e); r != nil {
				t.Fatal(r)
			}
			types[e.Type] = true
			got := schemas.GoldenWant{
				Type: e.Type.String(), UserID: string(e.User), EventID: string(e.ID), TimeMillis: e.TimeMillis,
				AmountMicros: e.AmountMicros, Quantity: e.Quantity, Items: len(e.Items),
				ProductID: string(e.Product.ID), ProductName: string(e.Product.Name), Category: string(e.Product.Category),
				Query: string(e.Query), Text: string(e.Text), Campaign: string(e.Campaign), Channel: string(e.Channel),
				PriceMicros: max(e.Product.PriceMicros, 0), ProductQuantity: e.Product.Quantity,
			}
			want := g.Want
			want.ProductQuantity = max(want.ProductQuantity, 1)
			if d := cmp.Diff(want, got); d != "" {
				t.Fatal(d)
			}
			if !bytes.Equal(e.Raw, g.Value) || e.KafkaMillis != testNow {
				t.Fatal("raw value or Kafka timestamp is not kept")
			}
		})
	}
	for typ := TypePageView; typ <= lastType; typ++ {
		if !types[typ] {
			t.Errorf("no golden event of type %s", typ)
		}
	}
}

// TestReferenceAgreesOnTheCorpora keeps the reference of the property tests honest.
func TestReferenceAgreesOnTheCorpora(t *testing.T) {
	p, ref := testParser(t)
	for _, c := range schemas.Poison() {
		if bracketDepth(c.Value) <= maxReferenceDepth {
			kind, _ := KindOfTopic(c.Topic)
			agree(t, p, ref, c.Value, kind, testNow)
		}
	}
	for _, g := range schemas.GoldenEvents() {
		kind, _ := KindOfTopic(g.Topic)
		agree(t, p, ref, g.Value, kind, testNow)
	}
}

// fataler is what agree needs of *testing.T and *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// agree fails if the parser and the reference read value differently.
func agree(t fataler, p *Parser, ref reference, value []byte, kind TopicKind, kafkaMillis int64) {
	t.Helper()
	before := bytes.Clone(value)
	var e Event
	got := p.Parse(value, kind, kafkaMillis, &e)
	want, reject := ref.parse(value, kind, kafkaMillis)
	if !bytes.Equal(before, value) {
		t.Fatalf("the parser changed %.200q", before)
	}
	switch {
	case got == nil && reject == nil:
		if d := cmp.Diff(want, asReference(&e)); d != "" {
			t.Fatalf("%.2000q: want (-), got (+):\n%s", value, d)
		}
		if !json.Valid(value) {
			t.Fatalf("accepted what is no JSON: %q", value)
		}
	case got == nil || reject == nil || *got != *reject:
		t.Fatalf("%.2000q of %s: got %v, want %v", value, kind, got, reject)
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	p, _ := testParser(t)
	key := []byte("a key")
	for _, g := range schemas.GoldenEvents() {
		kind, _ := KindOfTopic(g.Topic)
		e := Event{Source: Source{Topic: "x", Partition: 3}, Offset: 9, Key: key}
		if n := testing.AllocsPerRun(20, func() {
			if r := p.Parse(g.Value, kind, testNow, &e); r != nil {
				t.Fatal(r)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", g.Name, n)
		}
		if e.Source.Partition != 3 || e.Offset != 9 || !bytes.Equal(e.Key, key) {
			t.Errorf("%s: the caller's position or key is gone", g.Name)
		}
	}
}

func TestParserGivesBackTheRoomOfAHugeRecord(t *testing.T) {
	p, _ := testParser(t)
	value := []byte(`{"user_id":"u","type":"purchase","ts":1767607200000,"total":1,"items":[{}` +
		string(bytes.Repeat([]byte(",{}"), 300_000)) + `]}`)
	var e Event
	if r := p.Parse(value, Purchases, testNow, &e); r != nil {
		t.Fatal(r)
	}
	if e.Quantity != 300_001 {
		t.Fatalf("quantity %d", e.Quantity)
	}
	if r := p.Parse([]byte("{}"), Purchases, testNow, &e); r == nil {
		t.Fatal("accepted {}")
	}
	if cap(p.out) > keptItems || cap(p.scan.items) > keptItems {
		t.Fatalf("%d and %d items are kept", cap(p.out), cap(p.scan.items))
	}
}

func TestFutureStartsAfterTheSkew(t *testing.T) {
	p, _ := testParser(t)
	value := []byte(`{"user_id":"u","type":"page_view","ts":1767607200000}`)
	const ts = 1767607200000
	for _, c := range []struct {
		kafkaMillis int64
		future      bool
	}{{ts, false}, {ts - testSkew, false}, {ts - testSkew - 1, true}, {ts + 1<<50, false}, {-1, true}, {-1 << 63, true}} {
		var e Event
		if r := p.Parse(value, Clickstream, c.kafkaMillis, &e); (r != nil) != c.future {
			t.Errorf("Kafka timestamp %d: %v, want future %v", c.kafkaMillis, r, c.future)
		}
	}
}

func TestNewParserNamesTheKeyThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, key string
		cfg       ParserConfig
	}{
		{"no currency", "currency", ParserConfig{}},
		{"negative skew", "max_future_skew", ParserConfig{Currency: "GBP", MaxFutureSkewMillis: -1}},
		{"empty rate", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": ""}}},
		{"word", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": "much"}}},
		{"zero", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": "0.00"}}},
		{"negative", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": "-1"}}},
		{"exponent", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": "1e3"}}},
		{"no whole digits", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": ".5"}}},
		{"no decimals", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": "5."}}},
		{"two points", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": "5.0.1"}}},
		{"too large", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": "1000000.1"}}},
		{"too long", "rates.USD", ParserConfig{Currency: "GBP", Rates: map[string]string{"USD": "0.1234567890123456789"}}},
		{"its own", "rates.GBP", ParserConfig{Currency: "GBP", Rates: map[string]string{"GBP": "2"}}},
		{"empty name", "rates.", ParserConfig{Currency: "GBP", Rates: map[string]string{"": "2"}}},
		{"depth", "max depth", ParserConfig{Currency: "GBP", MaxDepth: 2}},
		{"bytes", "max bytes", ParserConfig{Currency: "GBP", MaxBytes: -5}},
	} {
		if _, err := NewParser(c.cfg); err == nil || !bytes.HasPrefix([]byte(err.Error()), []byte(c.key)) {
			t.Errorf("%s: error %v, want one about %s", c.name, err, c.key)
		}
	}
	if _, err := NewParser(ParserConfig{Currency: "GBP", Rates: map[string]string{"GBP": "1.00", "USD": "1000000", "X": "0.000000000000000001"}}); err != nil {
		t.Error(err)
	}
}
