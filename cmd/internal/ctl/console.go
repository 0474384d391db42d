package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/config"
	"profilestream/cmd/internal/console"
	"profilestream/cmd/internal/runs"
	"profilestream/cmd/internal/stage"
)

func consoleCommand(s *shared) *cobra.Command {
	var listen, tokenFile string
	var allowSave bool
	c := &cobra.Command{
		Use:   "console",
		Short: "Serve the web pages for marketers over ClickHouse",
		Long: `Console serves an overview, customers, segments and the pipeline's health as web
pages. It reads ClickHouse, and asks Kafka how far each stage is behind; with
--allow-save it also makes views named segment_*. It listens on this machine; another
address needs --token-file, and TLS from a proxy before it. What it shows is personal
data.`,
		Example: `  profilectl console -c f.yaml
  profilectl console -c f.yaml --listen 127.0.0.1:8080 --allow-save
  profilectl console -c f.yaml --listen :9180 --token-file console.token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			token, err := readToken(tokenFile)
			if err != nil {
				return err
			}
			if err := console.CheckListen(listen, token.Reveal()); err != nil {
				return fmt.Errorf("%w: --listen: %w", errUsage, err)
			}
			log, err := s.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			srv, err := stage.Console(cfg, stage.ConsoleOptions{Listen: listen, Token: token, AllowSave: allowSave, Lag: runs.ConsoleLag(cfg, log), Log: log})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "console: http://%s (Ctrl-C ends it)\n", srv.Addr()); err != nil {
				return errors.Join(err, srv.Close(context.WithoutCancel(cmd.Context())))
			}
			return srv.Run(cmd.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:9180", "host:port to listen on")
	f.StringVar(&tokenFile, "token-file", "", "file with the token that a reader has to show")
	f.BoolVar(&allowSave, "allow-save", false, "let segments be saved as ClickHouse views")
	return c
}

// readToken reads the token of a file, without surrounding white space.
func readToken(path string) (config.Secret, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: --token-file: %w", errUsage, err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", fmt.Errorf("%w: --token-file: %s is empty", errUsage, path)
	}
	return config.Secret(token), nil
}
