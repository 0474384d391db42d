package demo

import (
	"context"
	"fmt"
	"time"

	"profilestream/cmd/internal/simulate"
	"profilestream/cmd/internal/stage"
	"profilestream/stream/wire"
)

// inputPartitions are the partitions of each input topic.
const inputPartitions = 2

// feed sends the simulated shop to the input topics, with the arrival times of
// the history as Kafka timestamps. It returns the end of the history.
func (d *demo) feed(ctx context.Context) (time.Time, error) {
	o := simulate.DefaultOptions()
	o.Seed, o.Users, o.Days, o.Events = d.o.Seed, d.o.Users, d.o.Days, d.o.Events
	o.PoisonCorpus = simulate.PoisonCorpus(false)
	shop, err := simulate.New(o)
	if err != nil {
		return time.Time{}, err
	}
	c, err := stage.Client(d.cfg, d.o.Log)
	if err != nil {
		return time.Time{}, err
	}
	defer c.Close()
	keep := map[string]string{"retention.ms": "-1", "max.message.bytes": "4194304"}
	for _, t := range d.cfg.Input.Topics {
		if err := c.CreateTopics(ctx, wire.Topic{Name: t, Partitions: inputPartitions, Replication: 1, Settings: keep}); err != nil {
			return time.Time{}, err
		}
	}
	f := &feeder{c: c, ctx: ctx, producers: map[wire.TopicPartition]*lane{}}
	err = shop.Events(func(e simulate.Event) error {
		if f.sent++; f.sent%1024 == 0 {
			d.o.Progress("sending events", f.sent, int(d.o.Events))
		}
		return f.send(&e)
	})
	if err == nil {
		err = f.flush()
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("sending the shop's events: %w", err)
	}
	d.o.Progress("sending events", f.sent, f.sent)
	s := shop.Summary()
	d.o.EndProgress()
	fmt.Fprintf(d.o.Out, "A simulated shop: %d customers, %d days, %d records (of these %d sent twice, %d out of order, %d late, %d poison).\n",
		d.o.Users, d.o.Days, s.Records, s.ByKind["duplicate"], s.ByKind["delayed"], s.ByKind["late"], s.ByKind["poison"])
	return o.Start.AddDate(0, 0, o.Days), nil
}

type feeder struct {
	c         *wire.Client
	ctx       context.Context
	producers map[wire.TopicPartition]*lane
	sent      int
}

type lane struct {
	p *wire.Producer
	b wire.Builder
}

func (f *feeder) send(e *simulate.Event) error {
	tp := wire.TopicPartition{Topic: e.Topic, Partition: int32(f.sent % inputPartitions)}
	l := f.producers[tp]
	if l == nil {
		l = &lane{p: f.c.NewProducer(tp.Topic, tp.Partition, wire.ProducerConfig{Codec: wire.LZ4, MaxBatchBytes: 3 << 20})}
		f.producers[tp] = l
	}
	l.b.Add(e.KafkaMillis, e.Key, e.Value)
	if l.b.Bytes() < 256<<10 {
		return nil
	}
	return f.flushLane(l)
}

func (f *feeder) flush() error {
	for _, l := range f.producers {
		if err := f.flushLane(l); err != nil {
			return err
		}
	}
	return nil
}

func (f *feeder) flushLane(l *lane) error {
	if l.b.Len() == 0 {
		return nil
	}
	_, err := l.p.Append(f.ctx, &l.b)
	l.b.Reset()
	return err
}
