package clickhouse

import (
	"bytes"
	"context"
	"fmt"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// batchSender sends a block through the driver's batches. It serves the native
// protocol, over which the driver takes no encoded block: the block is decoded
// into the driver's columns and appended row by row, which costs several times
// the processor time of httpSender.
type batchSender struct{ conn driver.Conn }

func (s *batchSender) ping(ctx context.Context) error { return s.conn.Exec(ctx, "SELECT 1") }

func (s *batchSender) exec(ctx context.Context, statement string) error {
	return s.conn.Exec(ctx, statement)
}

func (s *batchSender) send(ctx context.Context, t *table, e *encoded) error {
	block := proto.NewBlock()
	if err := block.Decode(chproto.NewReader(bytes.NewReader(e.body)), 0); err != nil {
		return &encodeError{fmt.Errorf("reading it back: %w", err)}
	}
	b, err := s.conn.PrepareBatch(ctx, t.insert)
	if err != nil {
		return fmt.Errorf("inserting into %s: %w", t.name, err)
	}
	defer func() { _ = b.Close() }()
	row := make([]any, len(block.Columns))
	for i := range e.rows {
		for j, c := range block.Columns {
			row[j] = c.Row(i, false)
		}
		if err := b.Append(row...); err != nil {
			return &encodeError{fmt.Errorf("appending to %s: %w", t.name, err)}
		}
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("inserting into %s: %w", t.name, err)
	}
	return nil
}
