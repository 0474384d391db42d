package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retry runs op until it succeeds, its error is not retryable, or ctx ends. Each try has its own deadline. A topic that
// stays unknown for longer than the client's patience becomes ErrUnknownTopic: right after its creation, or after a
// broker came back, metadata lags for a moment.
func (c *Client) retry(ctx context.Context, what string, op func(context.Context) error) error {
	var (
		wait    *backoff.ExponentialBackOff
		unknown time.Time
	)
	for {
		try, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
		err := op(try)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if Classify(err) != Retryable {
			return fmt.Errorf("%s: %w", what, err)
		}
		if !isUnknownTopic(err) {
			unknown = time.Time{}
		} else if now := time.Now(); unknown.IsZero() {
			unknown = now
		} else if now.Sub(unknown) > c.cfg.UnknownTopicPatience {
			return fmt.Errorf("%s: %w: %w", what, ErrUnknownTopic, err)
		}
		if wait == nil {
			wait = &backoff.ExponentialBackOff{InitialInterval: 20 * time.Millisecond, RandomizationFactor: 0.3, Multiplier: 1.7, MaxInterval: c.cfg.MaxBackoff}
			wait.Reset()
		}
		if c.cfg.OnRetry != nil {
			c.cfg.OnRetry(what, err)
		}
		if err := Sleep(ctx, wait.NextBackOff()); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// Sleep waits, or returns why ctx ended first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
