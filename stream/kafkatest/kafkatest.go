// Package kafkatest gives tests a Kafka to talk to: an in-process one for everything quick, and Apache Kafka itself for
// what only a real broker can show (durability over kill -9, transactions, rebalances).
//
// The real broker is chosen by environment: PROFILESTREAM_TEST_BROKER=host:port uses a running one,
// PROFILESTREAM_KAFKA=real starts one from the jars that set-up fetched. Without either, its tests are skipped and say so.
package kafkatest

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Broker is a cluster under test. Kill and Start are nil where the test does not own the process.
type Broker struct {
	Addrs []string
	Kill  func() // kill -9 of every node
	Start func() // starts the nodes again on the same data
	Fake  *kfake.Cluster
}

// Fake starts an in-process cluster of one broker that ends with the test.
func Fake(tb testing.TB, opts ...kfake.Opt) *Broker {
	tb.Helper()
	base := []kfake.Opt{kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.min.session.timeout.ms": "100"})}
	c, err := kfake.NewCluster(append(base, opts...)...)
	if err != nil {
		tb.Fatalf("starting the in-process Kafka: %v", err)
	}
	tb.Cleanup(c.Close)
	return &Broker{Addrs: c.ListenAddrs(), Fake: c}
}

// Real returns Apache Kafka, or skips the test loudly.
func Real(tb testing.TB) *Broker {
	tb.Helper()
	if addr := os.Getenv("PROFILESTREAM_TEST_BROKER"); addr != "" {
		return &Broker{Addrs: strings.Split(addr, ",")}
	}
	if os.Getenv("PROFILESTREAM_KAFKA") != "real" {
		tb.Skip("SKIPPED: needs Apache Kafka. Set PROFILESTREAM_KAFKA=real to start one (Java and the jars of set-up), or PROFILESTREAM_TEST_BROKER=host:port")
	}
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if shared == nil {
		dir, err := os.MkdirTemp("", "profilestream-kafka")
		if err != nil {
			tb.Fatal(err)
		}
		shared, sharedDir = startReal(tb, 1, dir), dir
	}
	return &Broker{Addrs: shared.Addrs}
}

// The broker that the tests of one package share; starting one takes many seconds.
var (
	sharedMu  sync.Mutex
	shared    *Broker
	sharedDir string
)

// StopShared ends the broker that Real started. A package that calls Real calls it after its last test.
func StopShared() {
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if shared != nil {
		shared.Kill()
		os.RemoveAll(sharedDir)
		shared = nil
	}
}

// RealOwned returns Apache Kafka of that many nodes whose processes the test may kill, or skips the test loudly.
func RealOwned(tb testing.TB, nodes int) *Broker {
	tb.Helper()
	if os.Getenv("PROFILESTREAM_KAFKA") != "real" {
		tb.Skip("SKIPPED: kills brokers, so it needs its own Apache Kafka: set PROFILESTREAM_KAFKA=real (Java and the jars of set-up)")
	}
	b := startReal(tb, nodes, tb.TempDir())
	tb.Cleanup(b.Kill)
	return b
}

func startReal(tb testing.TB, nodes int, data string) *Broker {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(here), "..", "..", "e2e", "kafka", "kafka-dev")
	port := freePorts(tb, 2*nodes)
	// It panics because the last call comes when the test that started the broker has gone.
	run := func(command string) string {
		cmd := exec.Command(script, command)
		cmd.Env = append(os.Environ(), fmt.Sprintf("NODES=%d", nodes), fmt.Sprintf("PORT=%d", port), "DATA="+data, "HEAP=384m")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			panic(fmt.Sprintf("kafka-dev %s: %v: %s", command, err, errs.String()))
		}
		return out.String()
	}
	return &Broker{Addrs: strings.Fields(run("start")), Kill: func() { run("kill") }, Start: func() { run("start") }}
}

// freePorts finds a run of n consecutive ports that nobody listens on.
func freePorts(tb testing.TB, n int) int {
	tb.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		first := l.Addr().(*net.TCPAddr).Port
		ls, ok := []net.Listener{l}, first+n < 65536
		for p := first + 1; ok && p < first+n; p++ {
			next, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
			if ok = err == nil; ok {
				ls = append(ls, next)
			}
		}
		for _, l := range ls {
			l.Close()
		}
		if ok {
			return first
		}
	}
	tb.Fatal("no free ports")
	return 0
}

// Name returns a name that no other test uses, for topics and groups.
func Name(prefix string) string {
	var b [5]byte
	rand.Read(b[:])
	return prefix + "-" + hex.EncodeToString(b[:])
}
