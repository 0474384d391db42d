package stream

import (
	"context"
	"sync"

	"profilestream/stream/wire"
)

// drain holds the offsets up to which a draining group works. They are observed once, when the drain begins, for all
// partitions of the topics, so that a partition that moves here later has the same target.
type drain struct {
	cfg     GroupConfig
	mu      sync.Mutex
	targets map[TopicPartition]int64
}

func (d *drain) init(cfg GroupConfig) { d.cfg = cfg }

// target returns the offset a partition must reach; begun is false while no drain was asked for.
func (d *drain) target(ctx context.Context, tp TopicPartition) (offset int64, begun bool, err error) {
	if d.cfg.Drain == nil {
		return 0, false, nil
	}
	select {
	case <-d.cfg.Drain:
	default:
		return 0, false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.targets == nil {
		tps, err := d.cfg.Client.Partitions(ctx, d.cfg.Topics...)
		if err != nil {
			return 0, true, err
		}
		targets := make(map[TopicPartition]int64, len(tps))
		for _, tp := range tps {
			if targets[tp], err = d.cfg.Client.ListOffset(ctx, tp.Topic, tp.Partition, wire.Latest, d.cfg.Committed); err != nil {
				return 0, true, err
			}
		}
		d.targets = targets
	}
	return d.targets[tp], true, nil
}
