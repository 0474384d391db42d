package stream

import (
	"context"
	"sync"
	"time"

	"profilestream/stream/wire"
)

// drainPoll is how often a worker that is done looks whether the others are.
const drainPoll = 200 * time.Millisecond

// drain holds the offsets up to which a draining group works. They are observed once, when the drain begins, for all
// partitions of the topics, so that a partition that moves here later has the same target.
type drain struct {
	cfg      GroupConfig
	mu       sync.Mutex
	targets  map[TopicPartition]int64
	finished map[TopicPartition]bool // by this worker
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
	if err := d.observe(ctx); err != nil {
		return 0, true, err
	}
	return d.targets[tp], true, nil
}

func (d *drain) observe(ctx context.Context) error {
	if d.targets != nil {
		return nil
	}
	tps, err := d.cfg.Client.Partitions(ctx, d.cfg.Topics...)
	if err != nil {
		return err
	}
	targets := make(map[TopicPartition]int64, len(tps))
	for _, tp := range tps {
		if targets[tp], err = d.cfg.Client.ListOffset(ctx, tp.Topic, tp.Partition, wire.Latest, d.cfg.Committed); err != nil {
			return err
		}
	}
	d.targets, d.finished = targets, make(map[TopicPartition]bool, len(tps))
	return nil
}

// finish notes that this worker has worked a partition off.
func (d *drain) finish(tp TopicPartition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finished[tp] = true
}

func (d *drain) isFinished(tp TopicPartition) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.finished[tp]
}

// wait returns once all partitions have been worked off, whoever owns them, or with the error of ctx. Two workers may
// observe ends that differ, since either appends to what the other reads: the one with the later ends stays until the
// other has come as far, or has left its partitions to it.
func (d *drain) wait(ctx context.Context) error {
	for {
		left, err := d.left(ctx)
		if err != nil || !left {
			return err
		}
		if err := wire.Sleep(ctx, drainPoll); err != nil {
			return err
		}
	}
}

// left says whether a partition that this worker has not finished is committed below its target.
func (d *drain) left(ctx context.Context) (bool, error) {
	d.mu.Lock()
	err := d.observe(ctx)
	var others []TopicPartition
	for tp, target := range d.targets {
		if target > 0 && !d.finished[tp] {
			others = append(others, tp)
		}
	}
	d.mu.Unlock()
	if err != nil {
		return false, err
	}
	if len(others) == 0 {
		return false, nil
	}
	at, err := d.cfg.Client.CommittedOffsets(ctx, d.cfg.ID, others)
	if err != nil {
		return false, err
	}
	for _, tp := range others {
		if at[tp].Offset >= d.targets[tp] {
			continue
		}
		// Of a partition whose records are all gone nobody commits anything.
		first, err := d.cfg.Client.ListOffset(ctx, tp.Topic, tp.Partition, wire.Earliest, false)
		if err != nil || first < d.targets[tp] {
			return true, err
		}
	}
	return false, nil
}
