package config

import (
	"encoding"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"profilestream/schemas"
)

// Config is the whole configuration. Validate has passed for every Config that
// Load returns.
type Config struct {
	// Run names the pipeline: its topics, consumer groups and tables carry it.
	Run        string     `koanf:"run"`
	Kafka      Kafka      `koanf:"kafka"`
	Input      Input      `koanf:"input"`
	Log        Log        `koanf:"log"`
	Profile    Profile    `koanf:"profile"`
	Model      Model      `koanf:"model"`
	ClickHouse ClickHouse `koanf:"clickhouse"`
	Privacy    Privacy    `koanf:"privacy"`
	Admin      Admin      `koanf:"admin"`
}

// Kafka says how to reach the brokers.
type Kafka struct {
	Brokers []string `koanf:"brokers"`
	TLS     TLS      `koanf:"tls"`
	SASL    SASL     `koanf:"sasl"`
	// SessionTimeout is how long a silent consumer keeps its partitions.
	SessionTimeout time.Duration `koanf:"session_timeout"`
}

// TLS turns on encryption to a server and says whom to trust.
type TLS struct {
	Enabled    bool   `koanf:"enabled"`
	CAFile     string `koanf:"ca_file"`
	CertFile   string `koanf:"cert_file"`
	KeyFile    string `koanf:"key_file"`
	ServerName string `koanf:"server_name"`
}

// SASL authenticates to Kafka. Mechanism is "", plain, scram-sha-256 or
// scram-sha-512.
type SASL struct {
	Mechanism    string `koanf:"mechanism"`
	Username     string `koanf:"username"`
	Password     Secret `koanf:"password"`
	PasswordFile string `koanf:"password_file"`
}

// Input names the topics that are read and where a new run starts: earliest,
// latest, or a time in RFC 3339.
type Input struct {
	Topics []string `koanf:"topics"`
	Start  string   `koanf:"start"`
	// Rate bounds how many records a second each process reads, of the topics, or
	// of the log where Log.Of is set; 0: no bound.
	Rate int `koanf:"rate"`
	// OnGap says what to do where a source cannot be read on from its committed
	// place: the topic was made anew, or has lost records that were not read.
	OnGap string `koanf:"on_gap"`
}

// The values of Input.OnGap.
const (
	OnGapStop     = "stop"
	OnGapNewEpoch = "new_epoch"
)

// Log shapes the event log and the topics that follow its partitions.
type Log struct {
	Partitions  int `koanf:"partitions"`
	Replication int `koanf:"replication"`
	// Of names another run whose event log this one reads, instead of making one
	// of the input topics; empty: its own.
	Of string `koanf:"of"`
}

// Profile holds what a profile depends on besides the events.
type Profile struct {
	Lateness           time.Duration     `koanf:"lateness"`
	MaxFutureSkew      time.Duration     `koanf:"max_future_skew"`
	LiveInterval       time.Duration     `koanf:"live_interval"`
	CheckpointInterval time.Duration     `koanf:"checkpoint_interval"`
	IdleAfter          time.Duration     `koanf:"idle_after"`
	MaxSourceLead      time.Duration     `koanf:"max_source_lead"`
	MaxEventsUserDay   int               `koanf:"max_events_user_day"`
	Currency           string            `koanf:"currency"`
	Rates              map[string]string `koanf:"rates"`
	// StateDir keeps a copy of the state on the local disk; empty: in memory only.
	StateDir string `koanf:"state_dir"`
	// StateCacheMiB is how much of the state is in memory, with a StateDir.
	StateCacheMiB int `koanf:"state_cache_mib"`
	// RestoreMiBPerSecond bounds how fast state is read from its topic; 0: no bound.
	RestoreMiBPerSecond int `koanf:"restore_mib_per_second"`
}

// Model names the bundle and how it is run.
type Model struct {
	Dir string `koanf:"dir"`
	// Store keeps promoted bundles; empty: the folder store beside Dir.
	Store       string `koanf:"store"`
	Device      string `koanf:"device"`
	Runtime     string `koanf:"runtime"`
	Precision   string `koanf:"precision"`
	BatchTokens int    `koanf:"batch_tokens"`
	Threads     int    `koanf:"threads"`
	CacheMiB    int    `koanf:"cache_mib"`
	// Timeout bounds the encoding of a batch.
	Timeout time.Duration `koanf:"timeout"`
	// Degraded scores rows from numbers alone while the encoder is down, and again
	// once it works; without it they wait.
	Degraded bool `koanf:"degraded"`
	// CacheDir keeps embeddings on disk between runs; empty: memory only.
	CacheDir string `koanf:"cache_dir"`
	// CacheDiskMiB bounds CacheDir; the oldest embeddings make room.
	CacheDiskMiB int `koanf:"cache_disk_mib"`
}

// ClickHouse says where the profiles are kept.
type ClickHouse struct {
	Addr             []string      `koanf:"addr"`
	Protocol         string        `koanf:"protocol"`
	Database         string        `koanf:"database"`
	BatchRows        int           `koanf:"batch_rows"`
	BatchInterval    time.Duration `koanf:"batch_interval"`
	HistoryEmbedding bool          `koanf:"history_embedding"`
	// WatchInterval is how often drift and quality of the models are computed; 0: never.
	WatchInterval time.Duration `koanf:"watch_interval"`
	User          string        `koanf:"user"`
	PasswordFile  string        `koanf:"password_file"`
	TLS           TLS           `koanf:"tls"`
}

// Admin is the port for metrics and health, and the time a drain may take.
type Admin struct {
	Listen        string        `koanf:"listen"`
	DrainDeadline time.Duration `koanf:"drain_deadline"`
	TokenFile     string        `koanf:"token_file"`
}

// Default is the configuration of an empty file.
func Default() Config {
	return Config{
		Run:   "live",
		Kafka: Kafka{Brokers: []string{"127.0.0.1:9092"}, SessionTimeout: 10 * time.Second},
		Input: Input{Topics: []string{"clickstream", "purchases"}, Start: "earliest", OnGap: OnGapStop},
		Log:   Log{Partitions: 8, Replication: 1},
		Profile: Profile{
			Lateness: 168 * time.Hour, MaxFutureSkew: 5 * time.Minute,
			LiveInterval: time.Second, CheckpointInterval: 10 * time.Second,
			IdleAfter: 30 * time.Second, MaxSourceLead: 24 * time.Hour,
			MaxEventsUserDay: 100_000, Currency: "GBP", Rates: map[string]string{},
			StateCacheMiB: 1024, RestoreMiBPerSecond: 256,
		},
		Model: Model{Dir: "models/current", Device: "cpu", Runtime: "auto", Precision: "auto", BatchTokens: 4096, CacheMiB: 256, CacheDiskMiB: 2048, Timeout: 30 * time.Second},
		ClickHouse: ClickHouse{
			Addr: []string{"127.0.0.1:8123"}, Protocol: "http", Database: "profilestream",
			BatchRows: 20_000, BatchInterval: time.Second, WatchInterval: time.Hour,
		},
		Admin: Admin{Listen: "127.0.0.1:9100", DrainDeadline: time.Minute},
	}
}

// Topics are the topics of the configured run. Events is the log that it reads,
// which may be another run's.
func (c *Config) Topics() schemas.Topics {
	t := schemas.RunTopics(c.Run)
	if c.Log.Of != "" {
		t.Events = schemas.RunTopics(c.Log.Of).Events
	}
	return t
}

// Database is the ClickHouse database of the configured run.
func (c *Config) Database() string { return schemas.Database(c.ClickHouse.Database, c.Run) }

// Group is the consumer group of a stage of the configured run.
func (c *Config) Group(stage string) string { return "profilestream." + c.Run + "." + stage }

// StoreDir is the folder of promoted bundles.
func (m *Model) StoreDir() string {
	if m.Store != "" {
		return m.Store
	}
	return filepath.Join(filepath.Dir(filepath.Clean(m.Dir)), "store")
}

// Secret is a string that no log or dump shows.
type Secret string

var (
	_ fmt.Stringer           = Secret("")
	_ slog.LogValuer         = Secret("")
	_ encoding.TextMarshaler = Secret("")
)

const redacted = "[redacted]"

// String hides the secret.
func (s Secret) String() string { return redacted }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return redacted }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }
