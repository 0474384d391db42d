package clickhouse

import (
	"context"
	"fmt"
	"io"

	"github.com/ClickHouse/ch-go/compress"
	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

func newSender(c *Client) sender {
	return &httpSender{conn: c.conn}
}

// httpSender sends a block as the body of an INSERT ... FORMAT Native.
type httpSender struct{ conn driver.Conn }

// The body is framed in compressed parts, as "decompress" tells the server.
var insertSettings = ch.Settings{"decompress": 1, "async_insert": 0}

func (s *httpSender) ping(ctx context.Context) error { return s.conn.Exec(ctx, "SELECT 1") }

func (s *httpSender) send(ctx context.Context, t *table, e *encoded) error {
	body := &frames{src: e.body, w: compress.NewWriter(compress.LevelZero, compress.LZ4)}
	if err := s.conn.InsertFormat(ch.Context(ctx, ch.WithSettings(insertSettings)), "Native", t.insert, body); err != nil {
		return fmt.Errorf("inserting into %s: %w", t.name, err)
	}
	return nil
}

const frameBytes = 1 << 20

// frames reads src as a sequence of compressed frames, made on demand.
type frames struct {
	src []byte
	w   *compress.Writer
	out []byte
}

func (f *frames) Read(p []byte) (int, error) {
	if len(f.out) == 0 {
		if len(f.src) == 0 {
			return 0, io.EOF
		}
		n := min(frameBytes, len(f.src))
		if err := f.w.Compress(f.src[:n]); err != nil {
			return 0, fmt.Errorf("compressing a block: %w", err)
		}
		f.src, f.out = f.src[n:], f.w.Data
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}
