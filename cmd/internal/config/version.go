package config

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"profilestream/schemas"
)

// Setting is one thing that a profile depends on besides the events and the
// model.
type Setting struct {
	Key    string // of the configuration
	Value  string // for people
	hashed string
}

// Settings are all of them. Equal settings give equal features.
func (c *Config) Settings() []Setting {
	p := &c.Profile
	rates := make([]string, 0, len(p.Rates))
	for code, r := range p.Rates {
		rates = append(rates, code+"="+r)
	}
	sort.Strings(rates)
	most, list := strconv.Itoa(p.MaxEventsUserDay), strings.Join(rates, ",")
	return []Setting{
		{"profile.lateness", p.Lateness.String(), strconv.FormatInt(p.Lateness.Milliseconds(), 10)},
		{"profile.max_future_skew", p.MaxFutureSkew.String(), strconv.FormatInt(p.MaxFutureSkew.Nanoseconds(), 10)},
		{"profile.max_events_user_day", most, most},
		{"profile.currency", p.Currency, p.Currency},
		{"profile.rates", list, list},
		{schemas.SettingFeatures, schemas.FeatureHash(), schemas.FeatureHash()},
	}
}

// Version is the hash of the Settings: lateness, max_future_skew,
// max_events_user_day, currency, rates, and the feature list with its semantics
// version. It is the column config_version of every row.
func (c *Config) Version() string {
	settings := c.Settings()
	values := make([]string, len(settings))
	for i, s := range settings {
		values[i] = s.hashed
	}
	return fmt.Sprintf("%016x", xxh3.HashString(strings.Join(values, "|")))
}
