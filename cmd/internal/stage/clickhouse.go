package stage

import (
	"profilestream/cmd/internal/config"
	"profilestream/stream/clickhouse"
)

// ClickHouse connects to ClickHouse as the configuration says.
func ClickHouse(c *config.Config) (*clickhouse.Client, error) {
	t, err := TLS(c.ClickHouse.TLS, "clickhouse.tls")
	if err != nil {
		return nil, err
	}
	ch, err := clickhouse.Open(clickhouse.Config{
		Addr: c.ClickHouse.Addr, Protocol: c.ClickHouse.Protocol, Database: c.ClickHouse.Database, Run: c.Run,
		User: c.ClickHouse.User, PasswordFile: c.ClickHouse.PasswordFile, TLS: t,
		BatchRows: c.ClickHouse.BatchRows, BatchInterval: c.ClickHouse.BatchInterval, HistoryEmbedding: c.ClickHouse.HistoryEmbedding,
	})
	if err != nil {
		return nil, &config.Error{Key: "clickhouse", Reason: err.Error()}
	}
	return ch, nil
}
