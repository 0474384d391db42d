package stage

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/apache/arrow/go/v17/arrow/array"

	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

// reasonRefused is the reason of a scored row that ClickHouse does not take.
const reasonRefused = "refused"

// refused keeps rows that ClickHouse refuses in the DLQ, as JSON, so that the
// stream goes on. Dead letters that are refused themselves stop the sink: their
// topic still holds them.
type refused struct {
	client *wire.Client
	topics schemas.Topics
	mu     sync.Mutex
	dlq    *divertWriter
}

func (k *refused) keep(ctx context.Context, r clickhouse.Rejected) error {
	if r.Record.Schema().Equal(schemas.AccountingRows) || !r.Record.Schema().Equal(schemas.ScoredRows) {
		return fmt.Errorf("table %s refuses a row: %w", r.Table, r.Err)
	}
	var value bytes.Buffer
	if err := array.RecordToJSON(r.Record, &value); err != nil {
		return fmt.Errorf("keeping a row that table %s refuses: %w", r.Table, err)
	}
	version := r.Record.Column(schemas.ColVersion).(*array.Int64).Value(0)
	partition := r.Record.Column(schemas.ColLogPartition).(*array.Int32).Value(0)
	newest := r.Record.Column(schemas.ColKafkaTime).(*array.Timestamp).Value(0)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dlq == nil {
		k.dlq = newDivertWriter(k.client, k.topics.DLQ, 0)
	}
	err := k.dlq.add(ctx, &profile.Diverted{
		Reason: reasonRefused, Source: profile.Source{Topic: k.topics.Events, Partition: partition},
		Offset: version, KafkaMillis: int64(newest), Value: value.Bytes(),
	})
	if err == nil {
		err = k.dlq.flush(ctx)
	}
	return err
}
