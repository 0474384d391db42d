package stage

import (
	"context"
	"sync"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/stream/wire"
)

const (
	// arrivedWithin is how old the ends of the inputs may be up to which the log
	// has to reach.
	arrivedWithin = 10 * time.Second
	// arrivalPoll is how often that is looked at.
	arrivalPoll = time.Second
)

// arrivals knows when the inputs of a run have been worked off into its log, up
// to what arrived within the last seconds. The end of the log alone does not say
// that: admission is slower than windowing, which waits at the end for more.
type arrivals struct {
	cfg    *config.Config
	client *wire.Client
	now    func() time.Time

	mu      sync.Mutex
	done    bool
	next    time.Time // of the next look
	targets map[wire.TopicPartition]int64
	since   time.Time // of the targets
}

// workedOff says whether nothing but the newest records is missing in the log.
// Once it is so it stays so.
func (a *arrivals) workedOff(ctx context.Context) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done || a.cfg.Log.Of != "" {
		return true, nil
	}
	now := a.now()
	if now.Before(a.next) {
		return false, nil
	}
	a.next = now.Add(arrivalPoll)
	lags, err := a.client.GroupLag(ctx, a.cfg.Group("admission"), a.cfg.Input.Topics...)
	if err != nil {
		return false, err
	}
	if a.targets == nil || now.Sub(a.since) > arrivedWithin {
		a.targets, a.since = map[wire.TopicPartition]int64{}, now
		for tp, l := range lags {
			a.targets[tp] = l.End
		}
	}
	a.done = true
	for tp, l := range lags {
		a.done = a.done && max(l.Committed, 0) >= a.targets[tp]
	}
	return a.done, nil
}
