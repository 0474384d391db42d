package stage

import (
	"profilestream/cmd/internal/config"
	"profilestream/stream/clickhouse"
)

// ClickHouse connects to ClickHouse as the configuration says.
func ClickHouse(c *config.Config) (*clickhouse.Client, error) {
	cfg, err := ClickHouseConfig(c)
	if err != nil {
		return nil, err
	}
	ch, err := clickhouse.Open(cfg)
	if err != nil {
		return nil, &config.Error{Key: "clickhouse", Reason: err.Error()}
	}
	return ch, nil
}

// ClickHouseConfig is what the configuration says of ClickHouse.
func ClickHouseConfig(c *config.Config) (clickhouse.Config, error) {
	t, err := TLS(c.ClickHouse.TLS, "clickhouse.tls")
	return clickhouse.Config{
		Addr: c.ClickHouse.Addr, Protocol: c.ClickHouse.Protocol, Database: c.ClickHouse.Database, Run: c.Run,
		User: c.ClickHouse.User, PasswordFile: c.ClickHouse.PasswordFile, TLS: t,
		BatchRows: c.ClickHouse.BatchRows, BatchInterval: c.ClickHouse.BatchInterval, HistoryEmbedding: c.ClickHouse.HistoryEmbedding,
	}, err
}
