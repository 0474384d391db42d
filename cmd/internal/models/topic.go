package models

import (
	"context"

	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// Newest reads the models topic up to its end: what it holds of a run, and the
// offset to follow it from. Without a promotion the record names the run only.
func Newest(ctx context.Context, c *wire.Client, run string) (r Record, next int64, err error) {
	all, next, err := stream.ReadTable(ctx, c, topic.Topic, func(key string) bool { return key == run }, decodeRecord)
	if err != nil {
		return Record{}, 0, err
	}
	if r, ok := all[run]; ok {
		return r, next, nil
	}
	return Record{Run: run}, next, nil
}

// All reads what the models topic holds of every run.
func All(ctx context.Context, c *wire.Client) (map[string]Record, error) {
	all, _, err := stream.ReadTable(ctx, c, topic.Topic, nil, decodeRecord)
	return all, err
}

// Follow calls fn with each record of a run from an offset on, until ctx ends or
// reading fails. One that cannot be read is passed as its error.
func Follow(ctx context.Context, c *wire.Client, run string, from int64, fn func(Record, error)) error {
	_, err := stream.Read(ctx, c, stream.ReadConfig{TopicPartition: topic, From: from, Committed: true, Follow: true}, func(x *wire.Record) error {
		if string(x.Key) == run && x.Value != nil {
			fn(decodeRecord(run, x.Value))
		}
		return nil
	})
	return err
}

var topic = wire.TopicPartition{Topic: schemas.ModelsTopic}
