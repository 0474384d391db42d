package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// SASL holds the credentials of a client. Mechanism is "", "plain", "scram-sha-256" or "scram-sha-512".
type SASL struct {
	Mechanism, User string
	Password        string
}

// String leaves the password out, so that printing a configuration is safe.
func (s SASL) String() string {
	if s.Mechanism == "" {
		return "none"
	}
	return s.Mechanism + " as " + s.User
}

// GoString is String.
func (s SASL) GoString() string { return s.String() }

// Config says how to reach a cluster. Zero values take the defaults named with them.
type Config struct {
	Brokers        []string // host:port, any of the cluster's
	ClientID       string   // "profilestream"
	TLS            *tls.Config
	SASL           SASL
	DialTimeout    time.Duration // 5 s
	RequestTimeout time.Duration // 10 s for one try of one request
	MaxBackoff     time.Duration // 1 s between tries
	MetadataTTL    time.Duration // 1 s at most until a moved leader is noticed
	// UnknownTopicPatience is how long a topic may be missing before that is an error: 30 s.
	UnknownTopicPatience time.Duration
	// Dial replaces the network in tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// OnRetry is told about each failed try that will be repeated.
	OnRetry func(what string, err error)
}

func (c *Config) setDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if c.ClientID == "" {
		c.ClientID = "profilestream"
	}
	def(&c.DialTimeout, 5*time.Second)
	def(&c.RequestTimeout, 10*time.Second)
	def(&c.MaxBackoff, time.Second)
	def(&c.MetadataTTL, time.Second)
	def(&c.UnknownTopicPatience, 30*time.Second)
}

// Validate reports a configuration that cannot work.
func (c *Config) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("kafka.brokers: at least one host:port is needed")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("kafka.brokers: %q is not host:port", b)
		}
	}
	_, err := c.mechanism()
	return err
}

func (c *Config) mechanism() (sasl.Mechanism, error) {
	switch c.SASL.Mechanism {
	case "":
		return nil, nil
	case "plain":
		return plain.Mechanism{Username: c.SASL.User, Password: c.SASL.Password}, nil
	case "scram-sha-256":
		return scram.Mechanism(scram.SHA256, c.SASL.User, c.SASL.Password)
	case "scram-sha-512":
		return scram.Mechanism(scram.SHA512, c.SASL.User, c.SASL.Password)
	}
	return nil, fmt.Errorf("kafka.sasl.mechanism: %q is not plain, scram-sha-256 or scram-sha-512", c.SASL.Mechanism)
}

// Client is a connection pool to one cluster, safe for use by many goroutines.
type Client struct {
	cfg       Config
	addr      net.Addr
	transport *kafka.Transport
	api       *kafka.Client
	sasl      sasl.Mechanism

	idsMu sync.Mutex
	ids   *bool // whether the cluster tells ids of topics; nil: not asked yet
}

// NewClient returns a client. It connects on first use.
func NewClient(cfg Config) (*Client, error) {
	cfg.setDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	mechanism, err := cfg.mechanism()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, addr: kafka.TCP(cfg.Brokers...), sasl: mechanism}
	c.transport = &kafka.Transport{
		Dial: cfg.Dial, DialTimeout: cfg.DialTimeout, ClientID: cfg.ClientID, TLS: cfg.TLS, SASL: mechanism,
		MetadataTTL: cfg.MetadataTTL, IdleTimeout: 5 * time.Minute,
	}
	c.api = &kafka.Client{Addr: c.addr, Transport: c.transport}
	return c, nil
}

// Close closes the idle connections; those in use close when their request ends.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Brokers returns the configured addresses.
func (c *Client) Brokers() []string { return c.cfg.Brokers }

// Dialer returns kafka-go's dialer with this client's settings, for its consumer groups.
func (c *Client) Dialer() *kafka.Dialer {
	return &kafka.Dialer{
		ClientID: c.cfg.ClientID, Timeout: c.cfg.DialTimeout, DualStack: true, TLS: c.cfg.TLS, SASLMechanism: c.sasl, DialFunc: c.cfg.Dial,
	}
}
