package engine

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
)

// SIGTERM reaches the process although libchdb installs handlers of its own with every connection, and a statement
// that runs is answered first.
func TestTerminationFinishesStatements(t *testing.T) {
	p := start(t, t.TempDir())
	conn := connect(t, p.Addr(), clickhouse.CompressionNone)
	watch := connect(t, p.Addr(), clickhouse.CompressionNone)
	answered := make(chan error, 1)
	var n uint64
	go func() {
		answered <- conn.QueryRow(testContext(t), "SELECT sum(sleepEachRow(1)) + 7 AS slow FROM numbers(2) SETTINGS max_block_size = 1").Scan(new(uint64))
	}()
	for n == 0 {
		if err := watch.QueryRow(testContext(t), "SELECT count() FROM system.processes WHERE query LIKE '%AS slow%' AND query NOT LIKE '%processes%'").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Stop(testContext(t)); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the statement that ran: %v", err)
	}
}

func TestInterruptStopsToo(t *testing.T) {
	p := start(t, t.TempDir())
	if err := syscall.Kill(p.Pid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	await(t, p)
	if p.err != nil {
		t.Error(p.err)
	}
}

// The pipe to the engine closes however its parent ends.
func TestEndsWithItsParent(t *testing.T) {
	p := start(t, t.TempDir())
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, p)
	if p.err != nil {
		t.Error(p.err)
	}
}

func await(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-testContext(t).Done():
		t.Fatal("the engine does not stop")
	}
}

// Rows that were acknowledged are there after kill -9 in the middle of inserts; a batch is there whole or not at all.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	const rounds, clients, rows = 3, 3, 500
	path := t.TempDir()
	var mu sync.Mutex
	acknowledged := map[uint64]bool{}
	for round := range rounds {
		p := start(t, path)
		conn := connect(t, p.Addr(), clickhouse.CompressionLZ4)
		if round == 0 {
			execute(t, conn, "CREATE DATABASE shop", "CREATE TABLE shop.t (batch UInt64, i UInt32) ENGINE = MergeTree ORDER BY (batch, i)")
		}
		enough := make(chan struct{}, clients)
		var wait sync.WaitGroup
		for client := range clients {
			wait.Go(func() {
				for n := 0; ; n++ {
					id := uint64(round)<<32 | uint64(client)<<16 | uint64(n)
					if insertBatch(testContext(t), conn, id, rows) != nil {
						return // killed
					}
					mu.Lock()
					acknowledged[id] = true
					mu.Unlock()
					if n == 3 {
						enough <- struct{}{}
					}
				}
			})
		}
		for range clients {
			select {
			case <-enough:
			case <-testContext(t).Done():
				t.Fatal("inserts do not get through")
			}
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		wait.Wait()
	}

	conn := connect(t, start(t, path).Addr(), clickhouse.CompressionLZ4)
	stored := map[uint64]uint64{}
	result, err := conn.Query(testContext(t), "SELECT batch, count() FROM shop.t GROUP BY batch")
	if err != nil {
		t.Fatal(err)
	}
	for result.Next() {
		var id, n uint64
		if err := result.Scan(&id, &n); err != nil {
			t.Fatal(err)
		}
		stored[id] = n
	}
	if err := result.Err(); err != nil {
		t.Fatal(err)
	}
	for id := range acknowledged {
		if stored[id] == 0 {
			t.Errorf("batch %x was acknowledged and is lost", id)
		}
	}
	for id, n := range stored {
		if n != rows {
			t.Errorf("batch %x has %d rows of %d", id, n, rows)
		}
	}
	if len(acknowledged) < rounds*clients*4 {
		t.Errorf("only %d batches were acknowledged: the test shows nothing", len(acknowledged))
	}
}

func insertBatch(ctx context.Context, conn clickhouse.Conn, id uint64, rows int) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO shop.t")
	if err != nil {
		return err
	}
	for i := range rows {
		if err := batch.Append(id, uint32(i)); err != nil {
			return err
		}
	}
	return batch.Send()
}

func TestRefusesToStart(t *testing.T) {
	taken := start(t, t.TempDir())
	busy := t.TempDir()
	start(t, busy)
	for name, c := range map[string]struct {
		path  string
		flags []string
		want  string
	}{
		"a folder in use":         {busy, nil, "which another process may hold"},
		"a port in use":           {t.TempDir(), []string{"-listen", taken.Addr()}, "address already in use"},
		"open to other machines":  {t.TempDir(), []string{"-listen", "0.0.0.0:0"}, "reachable from other machines"},
		"every interface":         {t.TempDir(), []string{"-listen", ":0"}, "reachable from other machines"},
		"no library":              {t.TempDir(), []string{"-cache", t.TempDir()}, "libchdb.so is not there"},
		"hardly any memory":       {t.TempDir(), []string{"-memory", "1000"}, "memory: 1000 is below"},
		"an argument too many":    {t.TempDir(), []string{"x"}, "unexpected argument"},
		"a folder that is a file": {os.Args[0], nil, "making the data folder"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := tryStart(t, c.path, c.flags...)
			if err == nil {
				t.Fatal("it started", p.Kill())
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestMemoryLimitHolds(t *testing.T) {
	const limit = 512 << 20
	p := start(t, t.TempDir(), "-memory", "536870912")
	conn := connect(t, p.Addr(), clickhouse.CompressionNone)
	var n uint64
	var exception *clickhouse.Exception
	err := conn.QueryRow(testContext(t), "SELECT length(groupArray(number)) FROM numbers(300000000)").Scan(&n)
	if !errors.As(err, &exception) || exception.Code != 241 {
		t.Errorf("a statement that needs 2.4 GB of 0.5: %v", err)
	}
	running, err := p.PeakRSS()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	peak, err := p.PeakRSS()
	if err != nil {
		t.Fatal(err)
	}
	// Beside the engine's memory there are the mapped library and Go. While it runs the kernel
	// counts pages in batches for each thread, so that figure may be some pages above the last one.
	const batches = 4 << 20
	if running <= 0 || peak < running-batches || peak > limit+512<<20 {
		t.Errorf("peak memory %d MiB, %d MiB while it ran", peak>>20, running>>20)
	}
}

func TestFlags(t *testing.T) {
	t.Setenv("PROFILESTREAM_CACHE", "/cache")
	got, untilStdinCloses, err := parseFlags([]string{"-path", "data", "-memory", "1073741824", "-threads", "1"}, t.Output())
	if err != nil || untilStdinCloses {
		t.Fatal(got, untilStdinCloses, err)
	}
	want := Config{Listen: "127.0.0.1:8123", Path: "data", Library: "/cache/lib/libchdb.so", MemoryBytes: 1 << 30, MaxBodyBytes: 1 << 30, MaxQueries: 16, Threads: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
