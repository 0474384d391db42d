package engine

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// post sends a statement and returns the status, the exception code of the reply (0 if none) and its text.
func post(t testing.TB, addr string, query url.Values, header http.Header, body io.Reader) (status, exception int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(testContext(t), http.MethodPost, "http://"+addr+"/?"+query.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	if header == nil {
		r.Header = http.Header{}
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text := res.Header.Get("X-ClickHouse-Exception-Code"); text != "" {
		if exception, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	return res.StatusCode, exception, string(reply)
}

// What cannot be read as a whole is refused, and nothing of it is stored.
func TestBrokenInsertStoresNothing(t *testing.T) {
	p := start(t, t.TempDir(), "-max-body", "100000")
	conn := connect(t, p.Addr(), clickhouse.CompressionNone)
	execute(t, conn, "CREATE DATABASE shop", "CREATE TABLE shop.t (a UInt32) ENGINE = MergeTree ORDER BY a")

	insert := url.Values{"query": {"INSERT INTO shop.t FORMAT TSV"}}
	blocks := url.Values{"query": insert["query"], "decompress": {"1"}}
	good := []byte("1\n2\n3\n")
	lz4 := blockEncoder(compress.LZ4)(t, good)
	corrupt := bytes.Clone(lz4)
	corrupt[len(corrupt)-1] ^= 1
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(good); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		query    url.Values
		encoding string
		body     []byte
	}{
		"unknown encoding":         {insert, "snappy", good},
		"gzip that nobody decodes": {insert, "", zipped.Bytes()},
		"half a gzip":              {insert, "gzip", zipped.Bytes()[:zipped.Len()/2]},
		"half a block":             {blocks, "", lz4[:len(lz4)-2]},
		"a block's header only":    {blocks, "", lz4[:25]},
		"a corrupt block":          {blocks, "", corrupt},
		"blocks that are none":     {blocks, "", good},
		"no data":                  {insert, "", nil},
		"a bad row among good":     {insert, "", []byte("1\n2\nthree\n")},
		"half a row of Native":     {url.Values{"query": {"INSERT INTO shop.t FORMAT Native"}}, "", []byte("\x01\x02\x01a\x06UInt32\x01\x00\x00\x00")},
		"too much":                 {insert, "", bytes.Repeat([]byte("1\n"), 60_000)},
		"text that is no SQL":      {nil, "", []byte("\x01\x02\x03 INSERT")},
		"nothing at all":           {nil, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			if c.encoding != "" {
				header.Set("Content-Encoding", c.encoding)
			}
			status, exception, text := post(t, p.Addr(), c.query, header, bytes.NewReader(c.body))
			if status < 400 || exception == 0 {
				t.Errorf("status %d, exception %d: %s", status, exception, text)
			}
			if n := count(t, conn, "shop.t"); n != 0 {
				t.Errorf("%d rows were stored", n)
			}
		})
	}
	if status, _, text := post(t, p.Addr(), blocks, nil, bytes.NewReader(lz4)); status != http.StatusOK {
		t.Errorf("a good body: status %d: %s", status, text)
	}
	if n := count(t, conn, "shop.t"); n != 3 {
		t.Errorf("%d rows of 3 were stored", n)
	}
}

// A client that goes away in the middle of a body has inserted nothing, and no statement stays behind.
func TestBodyThatBreaksOff(t *testing.T) {
	p := start(t, t.TempDir())
	conn := connect(t, p.Addr(), clickhouse.CompressionNone)
	execute(t, conn, "CREATE DATABASE shop", "CREATE TABLE shop.t (a UInt32) ENGINE = MergeTree ORDER BY a")
	for framing, head := range map[string]string{
		"length": "Content-Length: 1000\r\n\r\n1\n2\n",
		"chunks": "Transfer-Encoding: chunked\r\n\r\n4\r\n1\n2\n\r\n",
	} {
		t.Run(framing, func(t *testing.T) {
			client, err := net.Dial("tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			fmt.Fprintf(client, "POST /?query=INSERT+INTO+shop.t+FORMAT+TSV HTTP/1.1\r\nHost: %s\r\n%s", p.Addr(), head)
			if err := client.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			reply, err := io.ReadAll(client) // until the engine has dealt with it
			if err != nil || bytes.Contains(reply, []byte("200 OK")) {
				t.Errorf("reply %q, error %v", reply, err)
			}
			if n := count(t, conn, "shop.t"); n != 0 {
				t.Errorf("%d rows were stored", n)
			}
		})
	}
	if n := count(t, conn, "system.processes"); n != 1 {
		t.Errorf("%d statements run, want this one only", n)
	}
}

func TestWhoIsAnswered(t *testing.T) {
	p := start(t, t.TempDir())
	ask := func(header http.Header, query url.Values) int {
		status, _, _ := post(t, p.Addr(), query, header, strings.NewReader("SELECT 1"))
		return status
	}
	for name, c := range map[string]struct {
		header http.Header
		query  url.Values
		want   int
	}{
		"anybody":               {nil, nil, http.StatusOK},
		"default":               {http.Header{"X-Clickhouse-User": {"default"}}, nil, http.StatusOK},
		"another user":          {http.Header{"X-Clickhouse-User": {"bob"}}, nil, http.StatusUnauthorized},
		"a password":            {http.Header{"X-Clickhouse-User": {"default"}, "X-Clickhouse-Key": {"x"}}, nil, http.StatusUnauthorized},
		"another user by query": {nil, url.Values{"user": {"bob"}}, http.StatusUnauthorized},
		"a page elsewhere":      {http.Header{"Origin": {"http://elsewhere.example"}}, nil, http.StatusForbidden},
		"a page of here":        {http.Header{"Origin": {"http://" + p.Addr()}}, nil, http.StatusOK},
		"a name made to fit":    {http.Header{"Host": {"elsewhere.example"}}, nil, http.StatusForbidden},
	} {
		if got := ask(c.header, c.query); got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}

	res, err := http.Get("http://" + p.Addr() + "/?query=CREATE+DATABASE+x")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("X-ClickHouse-Exception-Code"); got != strconv.Itoa(codeReadOnly) {
		t.Errorf("a GET that changes something: exception %q, status %d", got, res.StatusCode)
	}
}

// Clients that stop reading in the middle of a result leave no statement behind, and the next ones are served.
func TestAbandonedResults(t *testing.T) {
	p := start(t, t.TempDir(), "-max-queries", "2")
	conn := connect(t, p.Addr(), clickhouse.CompressionNone)
	for range 6 {
		res, err := http.Post("http://"+p.Addr(), "", strings.NewReader("SELECT number, range(100) FROM numbers(100000000) FORMAT RowBinary"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for count(t, conn, "system.processes") != 1 {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, conn, "numbers(10)"); n != 10 {
		t.Errorf("%d rows of 10", n)
	}
}
