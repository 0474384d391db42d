package clickhouse

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"profilestream/schemas"
)

// Protocols of Config.Protocol.
const (
	ProtocolHTTP   = "http"
	ProtocolNative = "native"
)

// Config says where ClickHouse is and how to write to it.
type Config struct {
	// Addr lists host:port of the servers; the first that answers is used.
	Addr []string
	// Protocol is ProtocolHTTP (the default) or ProtocolNative.
	Protocol string
	// Database is the base name; Run makes the database's name of it.
	Database string
	Run      string

	User         string
	PasswordFile string // read once, at Open; surrounding white space is cut
	TLS          *tls.Config

	// BatchRows and BatchInterval close a block, whichever comes first.
	BatchRows     int
	BatchInterval time.Duration
	// HistoryEmbedding keeps embeddings in profile_history too.
	HistoryEmbedding bool

	// MaxQueuedBytes bounds the memory of records that wait or are being sent.
	// Zero means 256 MiB.
	MaxQueuedBytes int64
	// MaxBlockBytes closes a block early, by the memory of its records. Zero
	// means 32 MiB.
	MaxBlockBytes int64
	// InsertTimeout bounds one attempt to send a block. Zero means a minute.
	InsertTimeout time.Duration
	// DialTimeout bounds connecting. Zero means five seconds.
	DialTimeout time.Duration
}

// Validate reports the first setting that makes no sense.
func (c *Config) Validate() error {
	switch {
	case len(c.Addr) == 0:
		return errors.New("clickhouse.addr: needs at least one host:port")
	case c.Protocol != "" && c.Protocol != ProtocolHTTP && c.Protocol != ProtocolNative:
		return fmt.Errorf("clickhouse.protocol: %q is neither http nor native", c.Protocol)
	case c.Database == "":
		return errors.New("clickhouse.database: must not be empty")
	case c.Run == "":
		return errors.New("run: must not be empty")
	case c.BatchRows <= 0:
		return errors.New("clickhouse.batch_rows: must be positive")
	case c.BatchInterval <= 0:
		return errors.New("clickhouse.batch_interval: must be positive")
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Protocol == "" {
		c.Protocol = ProtocolHTTP
	}
	if c.MaxQueuedBytes <= 0 {
		c.MaxQueuedBytes = 256 << 20
	}
	if c.MaxBlockBytes <= 0 {
		c.MaxBlockBytes = 32 << 20
	}
	if c.InsertTimeout <= 0 {
		c.InsertTimeout = time.Minute
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = 5 * time.Second
	}
	return c
}

// RunDatabase is the database of the run.
func (c *Config) RunDatabase() string { return schemas.Database(c.Database, c.Run) }

// options renders the driver's options for one database.
func (c *Config) options(database string) (*ch.Options, error) {
	o := &ch.Options{
		Protocol:    ch.HTTP,
		Addr:        c.Addr,
		Auth:        ch.Auth{Database: database, Username: c.User},
		TLS:         c.TLS,
		Compression: &ch.Compression{Method: ch.CompressionLZ4},
		DialTimeout: c.DialTimeout,
		// A read waits for a whole insert or query: the context bounds it.
		ReadTimeout:  10 * time.Minute,
		MaxOpenConns: 8,
		MaxIdleConns: 8,
		Settings: ch.Settings{
			// A synchronous insert is what an acknowledgement means here.
			"async_insert": 0,
			// A backfill's block may hold day rows of more months than the
			// server's default allows; refused, it would be tried for ever.
			"max_partitions_per_insert_block": 0,
		},
		TransportFunc: func(t *http.Transport) (http.RoundTripper, error) { return framing{t}, nil },
	}
	if c.Protocol == ProtocolNative {
		o.Protocol = ch.Native
	}
	if c.PasswordFile != "" {
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("clickhouse.password_file: %w", err)
		}
		o.Auth.Password = strings.TrimSpace(string(b))
	}
	return o, nil
}
