package ctl

import (
	"fmt"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/stage"
	"profilestream/stream/clickhouse"
)

func migrateCommand(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Create or upgrade the ClickHouse tables and views of the run",
		Example: "  profilectl migrate -c f.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			c, err := stage.ClickHouse(cfg)
			if err != nil {
				return err
			}
			defer c.Close()
			m, err := clickhouse.Migrate(cmd.Context(), c)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "database %s: schema version %d, %d migrations applied\n", m.Database, m.Version, m.Applied)
			return err
		},
	}
}
