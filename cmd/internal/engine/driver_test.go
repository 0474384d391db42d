package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
)

// row has the column types that the product's tables use.
type row struct {
	User      string
	AsOf      time.Time
	Revenue   decimal.Decimal
	Sentiment *float32
	Embedding []float32
	Interests map[string]float32
	Reasons   []reason
	Flags     []string
	Degraded  bool
	Version   uint64
}

type reason struct {
	Feature string
	Weight  float32
}

const rowTable = `(user String, as_of DateTime64(3, 'UTC'), revenue Decimal(38, 6), sentiment Nullable(Float32),
	embedding Array(Float32), interests Map(String, Float32), reasons Array(Tuple(String, Float32)), flags Array(String),
	degraded Bool, version UInt64) ENGINE = ReplacingMergeTree(version) ORDER BY user`

func testRow(i int) row {
	r := row{
		User:      fmt.Sprintf("user-%05d \x00'\\é", i),
		AsOf:      time.UnixMilli(1_700_000_000_123 + int64(i)).UTC(),
		Revenue:   decimal.New(int64(i)*1_000_001-5, -6),
		Embedding: make([]float32, 384),
		Interests: map[string]float32{"toys": float32(i) / 3, "garden": 1},
		Reasons:   []reason{{"orders_90d", -0.5}, {"days_since_last_event", float32(i)}},
		Flags:     []string{},
		Degraded:  i%2 == 0,
		Version:   uint64(i) << 20,
	}
	for j := range r.Embedding {
		r.Embedding[j] = float32(i%97) / float32(j+1)
	}
	if i%3 == 0 {
		sentiment := float32(i%5)/5 - 0.5
		r.Sentiment = &sentiment
		r.Flags = []string{"bot", "hot"}
	}
	return r
}

var compressions = map[string]clickhouse.CompressionMethod{
	"none": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4, "zstd": clickhouse.CompressionZSTD,
	"gzip": clickhouse.CompressionGZIP, "deflate": clickhouse.CompressionDeflate, "br": clickhouse.CompressionBrotli,
}

// Every row that was sent is read back, equal, through every compression. The number of rows read is part of the
// check: a client takes an empty reply for an empty result.
func TestDriverRoundTrip(t *testing.T) {
	const rows = 300
	p := start(t, t.TempDir())
	execute(t, connect(t, p.Addr(), clickhouse.CompressionNone), "CREATE DATABASE shop ENGINE = Atomic")
	for name, method := range compressions {
		t.Run(name, func(t *testing.T) {
			conn := connect(t, p.Addr(), method)
			table := "shop.rows_" + name
			execute(t, conn, "CREATE TABLE "+table+rowTable)
			insertRows(t, conn, table, rows)
			got := readRows(t, conn, table)
			if len(got) != rows {
				t.Fatalf("%d rows came back of %d", len(got), rows)
			}
			for i, r := range got {
				if diff := cmp.Diff(testRow(i), r); diff != "" {
					t.Fatalf("row %d (-sent +read):\n%s", i, diff)
				}
			}
		})
	}
}

func insertRows(t *testing.T, conn clickhouse.Conn, table string, rows int) {
	t.Helper()
	batch, err := conn.PrepareBatch(testContext(t), "INSERT INTO "+table)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		r := testRow(i)
		reasons := make([][]any, len(r.Reasons))
		for j, why := range r.Reasons {
			reasons[j] = []any{why.Feature, why.Weight}
		}
		if err := batch.Append(r.User, r.AsOf, r.Revenue, r.Sentiment, r.Embedding, r.Interests, reasons, r.Flags, r.Degraded, r.Version); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
}

func readRows(t *testing.T, conn clickhouse.Conn, table string) (got []row) {
	t.Helper()
	// Small blocks, so that the result arrives in many chunks.
	result, err := conn.Query(testContext(t), "SELECT * FROM "+table+" FINAL ORDER BY user SETTINGS max_block_size = 50")
	if err != nil {
		t.Fatal(err)
	}
	for result.Next() {
		var r row
		var reasons [][]any
		if err := result.Scan(&r.User, &r.AsOf, &r.Revenue, &r.Sentiment, &r.Embedding, &r.Interests, &reasons, &r.Flags, &r.Degraded, &r.Version); err != nil {
			t.Fatal(err)
		}
		for _, why := range reasons {
			r.Reasons = append(r.Reasons, reason{why[0].(string), why[1].(float32)})
		}
		got = append(got, r)
	}
	if err := errors.Join(result.Err(), result.Close()); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestParameters(t *testing.T) {
	conn := connect(t, start(t, t.TempDir()).Addr(), clickhouse.CompressionLZ4)
	ctx := testContext(t)
	var got string
	if err := conn.QueryRow(ctx, "SELECT concat(?, toString(?))", `it's \ "ok"`, 7).Scan(&got); err != nil || got != `it's \ "ok"7` {
		t.Errorf("bound in the client: %q, %v", got, err)
	}
	params := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"text": `it's \ok`, "n": "5"}))
	if err := conn.QueryRow(params, "SELECT {text:String} || toString({n:UInt8})").Scan(&got); err != nil || got != `it's \ok5` {
		t.Errorf("bound in the engine: %q, %v", got, err)
	}
	var threads string
	settings := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_threads": 1}))
	const ask = "SELECT value FROM system.settings WHERE name = 'max_threads'"
	if err := conn.QueryRow(settings, ask).Scan(&threads); err != nil || threads != "1" {
		t.Errorf("a request's setting: %q, %v", threads, err)
	}
	if err := conn.QueryRow(ctx, ask).Scan(&threads); err != nil || threads != "2" {
		t.Errorf("the setting of the next request: %q, %v", threads, err)
	}
}

func TestTypedExceptions(t *testing.T) {
	p := start(t, t.TempDir())
	for name, method := range map[string]clickhouse.CompressionMethod{"none": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4} {
		conn := connect(t, p.Addr(), method)
		for _, c := range []struct {
			name, sql string
			want      int32
		}{
			{"misspelt", "SELEC 1", 62},
			{"an expression", "1 + 1", 62},
			{"a comment", "-- nothing", 62},
			{"two statements", "SELECT 1; SELECT 2", 62},
			{"unknown table", "SELECT * FROM nowhere", 60},
			{"unknown database", "SELECT * FROM nowhere.nothing", 81},
			{"unknown column", "SELECT nothing FROM system.one", 47},
			{"in the middle of a result", "SELECT throwIf(number = 300000, 'boom') FROM numbers(400000) SETTINGS max_block_size = 1000", 395},
			{"more memory than there is", "SELECT groupArray(number) FROM numbers(200000000) SETTINGS max_memory_usage = 50000000", 241},
			{"a session's setting", "SET max_threads = 1", codeNotImplemented},
			{"a temporary table", "CREATE TEMPORARY TABLE t (a UInt8)", codeNotImplemented},
			{"an end for everybody", "SYSTEM SHUTDOWN", codeNotImplemented},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				rows, err := conn.Query(testContext(t), c.sql)
				if err == nil {
					for rows.Next() {
					}
					err = errors.Join(rows.Err(), rows.Close())
				}
				var exception *clickhouse.Exception
				if !errors.As(err, &exception) || exception.Code != c.want {
					t.Fatalf("%v, want code %d", err, c.want)
				}
			})
		}
		bad := clickhouse.Context(testContext(t), clickhouse.WithSettings(clickhouse.Settings{"no_such_setting": 1}))
		var exception *clickhouse.Exception
		if err := conn.Exec(bad, "SELECT 1"); !errors.As(err, &exception) || exception.Code != 115 {
			t.Errorf("unknown setting: %v", err)
		}
		if got := count(t, conn, "numbers(10)"); got != 10 {
			t.Errorf("after the refusals %d rows of 10", got)
		}
	}
}

// Statements of many clients run side by side, more of them than there are slots.
func TestConcurrentClients(t *testing.T) {
	const clients, batches, rows = 6, 5, 200
	p := start(t, t.TempDir(), "-max-queries", "3")
	setup := connect(t, p.Addr(), clickhouse.CompressionNone)
	execute(t, setup, "CREATE DATABASE shop", "CREATE TABLE shop.t (client UInt32, i UInt32) ENGINE = MergeTree ORDER BY (client, i)")
	var wait sync.WaitGroup
	for client := range clients {
		conn := connect(t, p.Addr(), clickhouse.CompressionLZ4)
		wait.Go(func() {
			for n := range batches {
				batch, err := conn.PrepareBatch(testContext(t), "INSERT INTO shop.t")
				if err != nil {
					t.Error(err)
					return
				}
				for i := range rows {
					if err := batch.Append(uint32(client), uint32(n*rows+i)); err != nil {
						t.Error(err)
					}
				}
				var read uint64
				if err := errors.Join(batch.Send(), conn.QueryRow(testContext(t), "SELECT count() FROM shop.t WHERE client = ?", client).Scan(&read)); err != nil {
					t.Error(err)
				} else if want := uint64((n + 1) * rows); read != want {
					t.Errorf("client %d reads %d rows after %d were acknowledged", client, read, want)
				}
			}
		})
	}
	wait.Wait()
	if got := count(t, setup, "shop.t"); got != clients*batches*rows {
		t.Errorf("%d rows stored of %d", got, clients*batches*rows)
	}
}

// A statement of some megabytes, as a multi-row INSERT ... VALUES is, needs no setting.
func TestLongStatement(t *testing.T) {
	const rows = 100_000
	conn := connect(t, start(t, t.TempDir()).Addr(), clickhouse.CompressionNone)
	execute(t, conn, "CREATE DATABASE shop", "CREATE TABLE shop.t (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
	var sql strings.Builder
	sql.WriteString("INSERT INTO shop.t VALUES ")
	for i := range rows {
		fmt.Fprintf(&sql, "(%d, 'FORMAT ;'),", i)
	}
	execute(t, conn, strings.TrimSuffix(sql.String(), ","))
	if got := count(t, conn, "shop.t WHERE s = 'FORMAT ;'"); got != rows {
		t.Errorf("%d rows of %d", got, rows)
	}
}
