package clickhouse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"profilestream/stream/failpoint"
)

func newSender(c *Client) sender {
	if c.cfg.Protocol == ProtocolNative {
		return &batchSender{conn: c.conn}
	}
	return &httpSender{conn: c.conn}
}

// httpSender sends a block as the body of an INSERT ... FORMAT Native.
type httpSender struct{ conn driver.Conn }

func (s *httpSender) ping(ctx context.Context) error { return s.conn.Exec(ctx, "SELECT 1") }

func (s *httpSender) exec(ctx context.Context, statement string) error {
	return s.conn.Exec(ctx, statement)
}

func (s *httpSender) send(ctx context.Context, t *table, e *encoded) error {
	if err := s.conn.InsertFormat(ctx, "Native", t.insert, bytes.NewReader(e.body)); err != nil {
		return fmt.Errorf("inserting into %s: %w", t.name, err)
	}
	return nil
}

// framing compresses the bodies of native inserts, which the driver sends as
// they are, and says so to the server. A setting in the context cannot do that:
// the driver would also apply it to the handshake of a new connection.
type framing struct{ next http.RoundTripper }

func (f framing) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	if s := q.Get("query"); !strings.HasPrefix(s, "INSERT INTO") || !strings.HasSuffix(s, "FORMAT Native") || q.Has("decompress") {
		return f.next.RoundTrip(r)
	}
	q.Set("decompress", "1")
	framed := r.Clone(r.Context())
	framed.URL.RawQuery = q.Encode()
	framed.Body = &frames{src: r.Body, w: compress.NewWriter(compress.LevelZero, compress.LZ4)}
	framed.ContentLength, framed.GetBody = -1, nil
	return f.next.RoundTrip(framed)
}

const frameBytes = 1 << 20

// frames reads src as a sequence of compressed frames, made on demand.
type frames struct {
	src io.ReadCloser
	w   *compress.Writer
	in  []byte
	out []byte
	err error // of src
}

func (f *frames) Read(p []byte) (int, error) {
	for len(f.out) == 0 {
		if f.err != nil {
			if f.err == io.EOF {
				failpoint.Hit("sink.block_sent")
			}
			return 0, f.err
		}
		if f.in == nil {
			f.in = make([]byte, frameBytes)
		}
		var n int
		if n, f.err = io.ReadFull(f.src, f.in); f.err == io.ErrUnexpectedEOF {
			f.err = io.EOF
		}
		if n == 0 {
			continue
		}
		if err := f.w.Compress(f.in[:n]); err != nil {
			return 0, fmt.Errorf("compressing a block: %w", err)
		}
		f.out = f.w.Data
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}

func (f *frames) Close() error { return f.src.Close() }
