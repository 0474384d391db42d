package faults

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// link is a TCP proxy in this process that makes trouble on demand.
type link struct{ proxy *toxiproxy.Proxy }

// newLink forwards listen, a port of 0 is a free one, to upstream.
func newLink(tb testing.TB, listen, upstream string) *link {
	tb.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // the toxics' own logger has no other switch
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &link{toxiproxy.NewProxy(server, "link", listen, upstream)}
	if err := l.proxy.Start(); err != nil {
		tb.Fatalf("proxy on %s: %v", listen, err)
	}
	tb.Cleanup(l.proxy.Stop)
	return l
}

func (l *link) addr() string { return l.proxy.Listen }

// The kinds of trouble, as toxiproxy writes them; answers are what is slow or
// lost. Appends are cut off on their way, inserts once they have arrived.
var (
	slow      = `{"name": "slow", "type": "latency", "stream": "downstream", "attributes": {"latency": 1000}}`
	resets    = `{"name": "resets", "type": "reset_peer", "stream": "downstream", "attributes": {"timeout": 300}}`
	narrow    = `{"name": "narrow", "type": "bandwidth", "stream": "downstream", "attributes": {"rate": 10}}`
	halfOpen  = `{"name": "silent", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`
	noAppends = `{"name": "appends", "type": "cut_appends", "stream": "upstream"}`
	noAnswers = `{"name": "answers", "type": "cut_inserts", "stream": "upstream"}`

	troubles = []string{slow, resets, narrow, halfOpen, noAppends}
)

func init() {
	toxics.Register("cut_appends", new(cutAppends))
	toxics.Register("cut_inserts", new(cutInserts))
}

// cutAppends ends a connection at a Produce request, of which every second one
// still reaches the broker: its answer is lost.
type cutAppends struct{}

var appendsCut atomic.Int64

// produceV8 is what a Produce request has behind its length: its key and version.
var produceV8 = []byte{0, 0, 0, 8}

// Pipe implements toxics.Toxic.
func (*cutAppends) Pipe(stub *toxics.ToxicStub) {
	cutAt(stub, func(sent []byte) (forward, cut bool) {
		cut = len(sent) >= 8 && bytes.Equal(sent[4:8], produceV8)
		return !cut || appendsCut.Add(1)%2 == 0, cut
	})
}

// cutInserts ends a connection when an INSERT has been sent to its end: ClickHouse
// stores the block, and the answer is lost.
type cutInserts struct{}

// Pipe implements toxics.Toxic.
func (*cutInserts) Pipe(stub *toxics.ToxicStub) {
	insert := false
	cutAt(stub, func(sent []byte) (forward, cut bool) {
		insert = insert || bytes.Contains(sent, []byte("query=INSERT"))
		return true, insert && bytes.HasSuffix(sent, []byte("0\r\n\r\n"))
	})
}

// cutAt passes on what is sent until it is to be cut.
func cutAt(stub *toxics.ToxicStub, see func(sent []byte) (forward, cut bool)) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			forward, cut := see(c.Data)
			if forward {
				stub.Output <- c
			}
			if cut {
				stub.Close()
				return
			}
		}
	}
}

func (l *link) trouble(tb testing.TB, toxic string) {
	tb.Helper()
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		tb.Fatal(fmt.Errorf("proxy: %w", err))
	}
}

// clear takes all trouble away.
func (l *link) clear() { l.proxy.Toxics.ResetToxics(context.Background()) }
