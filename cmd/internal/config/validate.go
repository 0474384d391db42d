package config

import (
	"fmt"
	"math/big"
	"net"
	"os"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

var (
	runName      = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)
	databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
	currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)
	topicName    = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)
	rate         = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,12})?$`)
)

// checker keeps the first error.
type checker struct{ err error }

func (c *checker) that(ok bool, key, format string, args ...any) {
	if !ok && c.err == nil {
		c.err = &Error{key, fmt.Sprintf(format, args...)}
	}
}

func (c *checker) between(v, low, high int, key string) {
	c.that(v >= low && v <= high, key, "%d is not between %d and %d", v, low, high)
}

func (c *checker) lasting(v, low, high time.Duration, key string) {
	c.that(v >= low && v <= high, key, "%s is not between %s and %s", v, low, high)
}

func (c *checker) oneOf(v, key string, words ...string) {
	c.that(slices.Contains(words, v), key, "%q is not one of %s", v, strings.Join(words, ", "))
}

func (c *checker) address(v, key string) {
	host, port, err := net.SplitHostPort(v)
	c.that(err == nil && host != "", key, "%q is not host:port", v)
	n, err := strconv.Atoi(port)
	c.that(err == nil && n >= 0 && n <= 65535, key, "%q has no valid port", v)
}

func (c *checker) file(path, key string) {
	if path != "" {
		_, err := os.Stat(path)
		c.that(err == nil, key, "cannot read %s", path)
	}
}

func (c *checker) tls(t TLS, key string) {
	c.file(t.CAFile, key+".ca_file")
	c.file(t.CertFile, key+".cert_file")
	c.file(t.KeyFile, key+".key_file")
	c.that((t.CertFile == "") == (t.KeyFile == ""), key+".key_file", "cert_file and key_file go together")
}

// Validate reports the first key that is wrong, as a *Error.
func (c *Config) Validate() error {
	var k checker
	k.that(runName.MatchString(c.Run), "run", "%q does not match [a-z0-9_]{1,32}", c.Run)
	c.Kafka.check(&k)
	c.Input.check(&k)
	k.between(c.Log.Partitions, 1, 1024, "log.partitions")
	k.between(c.Log.Replication, 1, 9, "log.replication")
	if c.Log.Of != "" {
		k.that(runName.MatchString(c.Log.Of), "log.of", "%q does not match [a-z0-9_]{1,32}", c.Log.Of)
		k.that(c.Log.Of != c.Run, "log.of", "is the run itself: without the key it reads its own log")
	}
	c.Profile.check(&k)
	c.Model.check(&k)
	c.ClickHouse.check(&k)
	c.Privacy.check(&k)
	k.address(c.Admin.Listen, "admin.listen")
	k.lasting(c.Admin.DrainDeadline, time.Second, 24*time.Hour, "admin.drain_deadline")
	k.file(c.Admin.TokenFile, "admin.token_file")
	return k.err
}

func (a *Kafka) check(k *checker) {
	k.that(len(a.Brokers) > 0, "kafka.brokers", "is empty")
	for _, b := range a.Brokers {
		k.address(b, "kafka.brokers")
	}
	k.lasting(a.SessionTimeout, time.Second, 10*time.Minute, "kafka.session_timeout")
	k.tls(a.TLS, "kafka.tls")
	k.oneOf(a.SASL.Mechanism, "kafka.sasl.mechanism", "", "plain", "scram-sha-256", "scram-sha-512")
	if a.SASL.Mechanism != "" {
		k.that(a.SASL.Username != "", "kafka.sasl.username", "is needed with kafka.sasl.mechanism")
		k.that(a.SASL.Password != "" || a.SASL.PasswordFile != "", "kafka.sasl.password_file", "is needed with kafka.sasl.mechanism")
	}
	k.file(a.SASL.PasswordFile, "kafka.sasl.password_file")
}

func (in *Input) check(k *checker) {
	k.that(len(in.Topics) > 0, "input.topics", "is empty")
	seen := map[string]bool{}
	for _, t := range in.Topics {
		k.that(topicName.MatchString(t), "input.topics", "%q is not a topic name", t)
		last := t[strings.LastIndexByte(t, '.')+1:]
		k.that(last == "clickstream" || last == "purchases", "input.topics", "%q must be, or end in, .clickstream or .purchases: the name says which events it holds", t)
		k.that(!seen[t], "input.topics", "%q is listed twice", t)
		seen[t] = true
	}
	k.between(in.Rate, 0, 1_000_000_000, "input.rate")
	k.oneOf(in.OnGap, "input.on_gap", OnGapStop, OnGapNewEpoch)
	if in.Start != "earliest" && in.Start != "latest" {
		_, err := time.Parse(time.RFC3339, in.Start)
		k.that(err == nil, "input.start", "%q is not earliest, latest or a time in RFC 3339", in.Start)
	}
}

func (p *Profile) check(k *checker) {
	k.lasting(p.Lateness, 24*time.Hour, 90*24*time.Hour, "profile.lateness")
	k.lasting(p.MaxFutureSkew, 0, 24*time.Hour, "profile.max_future_skew")
	k.lasting(p.LiveInterval, 10*time.Millisecond, time.Hour, "profile.live_interval")
	k.lasting(p.CheckpointInterval, 100*time.Millisecond, 10*time.Minute, "profile.checkpoint_interval")
	k.that(p.IdleAfter == 0 || p.IdleAfter >= time.Second, "profile.idle_after", "%s is neither 0 (never) nor at least 1s", p.IdleAfter)
	k.lasting(p.MaxSourceLead, time.Minute, 3650*24*time.Hour, "profile.max_source_lead")
	k.between(p.MaxEventsUserDay, 1, 10_000_000, "profile.max_events_user_day")
	k.between(p.StateCacheMiB, 16, 1<<20, "profile.state_cache_mib")
	k.between(p.RestoreMiBPerSecond, 0, 1<<20, "profile.restore_mib_per_second")
	k.that(currencyCode.MatchString(p.Currency), "profile.currency", "%q is not a code of three capital letters", p.Currency)
	codes := make([]string, 0, len(p.Rates))
	for code := range p.Rates {
		codes = append(codes, code)
	}
	sort.Strings(codes)
	for _, code := range codes {
		key := "profile.rates." + code
		k.that(currencyCode.MatchString(code), key, "is not a code of three capital letters")
		r, ok := new(big.Rat).SetString(p.Rates[code])
		k.that(rate.MatchString(p.Rates[code]) && ok && r.Sign() > 0, key, "%q is not a positive decimal number with at most 12 decimals", p.Rates[code])
	}
}

func (m *Model) check(k *checker) {
	k.that(m.Dir != "", "model.dir", "is empty")
	k.oneOf(m.Device, "model.device", "cpu")
	k.oneOf(m.Runtime, "model.runtime", "auto", "openvino", "onnxruntime")
	k.oneOf(m.Precision, "model.precision", "auto", "bf16", "f32")
	k.between(m.BatchTokens, 128, 1<<20, "model.batch_tokens")
	k.between(m.Threads, 0, 256, "model.threads")
	k.between(m.CacheMiB, 0, 1<<20, "model.cache_mib")
	k.between(m.CacheDiskMiB, 16, 1<<20, "model.cache_disk_mib")
	k.lasting(m.Timeout, 100*time.Millisecond, time.Hour, "model.timeout")
}

func (c *ClickHouse) check(k *checker) {
	k.that(len(c.Addr) > 0, "clickhouse.addr", "is empty")
	for _, a := range c.Addr {
		k.address(a, "clickhouse.addr")
	}
	k.oneOf(c.Protocol, "clickhouse.protocol", "http", "native")
	k.that(databaseName.MatchString(c.Database) && c.Database != "default", "clickhouse.database", "%q is not a name of letters, digits and underscores other than default", c.Database)
	k.between(c.BatchRows, 1, 1_000_000, "clickhouse.batch_rows")
	k.lasting(c.BatchInterval, 10*time.Millisecond, 10*time.Minute, "clickhouse.batch_interval")
	k.that(c.WatchInterval == 0 || c.WatchInterval >= time.Second, "clickhouse.watch_interval", "%s is neither 0 (never) nor at least 1s", c.WatchInterval)
	k.file(c.PasswordFile, "clickhouse.password_file")
	k.tls(c.TLS, "clickhouse.tls")
}
