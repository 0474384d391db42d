package stage

import (
	"context"

	"profilestream/profile"
	"profilestream/stream/wire"
)

// divertWriter sends events that did not reach the state to one topic partition.
type divertWriter struct {
	producer *wire.Producer
	batch    wire.Builder
}

func newDivertWriter(c *wire.Client, topic string, partition int32) *divertWriter {
	return &divertWriter{producer: c.NewProducer(topic, partition, wire.ProducerConfig{Codec: wire.LZ4, MaxBatchBytes: maxRowBatchBytes})}
}

func (d *divertWriter) add(ctx context.Context, e *profile.Diverted) error {
	d.batch.Add(e.KafkaMillis, e.Key, e.Value, deadLetterHeaders(e.Reason, "", e.Source, e.Offset, e.KafkaMillis)...)
	if d.batch.Bytes() < maxMessageBytes {
		return nil
	}
	return d.flush(ctx)
}

func (d *divertWriter) flush(ctx context.Context) error {
	if d.batch.Len() == 0 {
		return nil
	}
	_, err := d.producer.Append(ctx, &d.batch)
	d.batch.Reset()
	return err
}
