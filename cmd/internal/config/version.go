package config

import (
	"fmt"
	"sort"
	"strings"

	"github.com/zeebo/xxh3"

	"profilestream/schemas"
)

// Version is the hash of all that a profile depends on besides the events and
// the model: lateness, max_future_skew, max_events_user_day, currency, rates,
// and the feature list with its semantics version. It is the column
// config_version of every row.
func (c *Config) Version() string {
	p := &c.Profile
	rates := make([]string, 0, len(p.Rates))
	for code, r := range p.Rates {
		rates = append(rates, code+"="+r)
	}
	sort.Strings(rates)
	return fmt.Sprintf("%016x", xxh3.HashString(fmt.Sprintf("%d|%d|%d|%s|%s|%s",
		p.Lateness.Milliseconds(), p.MaxFutureSkew.Nanoseconds(), p.MaxEventsUserDay, p.Currency,
		strings.Join(rates, ","), schemas.FeatureHash())))
}
