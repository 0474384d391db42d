package ctl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/models"
	"profilestream/inference/bundle"
	"profilestream/inference/onnx"
	"profilestream/schemas"
)

func modelCommand(s *shared) *cobra.Command {
	c := &cobra.Command{Use: "model", Short: "Import encoders, look at model bundles, put them to work"}
	var out string
	imp := &cobra.Command{
		Use:   "import DIR",
		Short: "Import a Hugging Face BERT folder as the encoder of new bundles",
		Long: `Import reads config.json, model.safetensors and tokenizer.json of a BERT model and
writes encoder.onnx with mean pooling and unit length in the graph.`,
		Example: `  profilectl model import ~/models/all-MiniLM-L6-v2 --out models/encoder
  profilectl train shop --encoder models/encoder`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := onnx.Import(args[0], out)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %d layers, %d dimensions, %d words, %s pooling\n", out, f.Architecture, f.Layers, f.Dim, f.Vocabulary, f.Pooling)
			return err
		},
	}
	imp.Flags().StringVar(&out, "out", "models/encoder", "folder to write to")
	c.AddCommand(imp, showCommand(s), listCommand(s), diffCommand(s), shadowCommand(s), promoteCommand(s), rollbackCommand(s))
	return c
}

func showCommand(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "show BUNDLE", Short: "Verify a bundle and print what it is and how it was judged",
		Long:    "BUNDLE is a folder, or the id of a bundle in the store.",
		Example: "  profilectl model show models/current",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			b, err := find(models.Store{Dir: cfg.Model.StoreDir()}, args[0])
			if err != nil {
				return err
			}
			return printBundle(cmd.OutOrStdout(), b, 0)
		},
	}
}

func listCommand(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "list [DIR]", Short: "List the bundles of a folder, and of the store with the runs they work in",
		Long: `List verifies the bundles of a folder. With -c it lists the store (model.store)
too, and asks Kafka which run has which promotion.`,
		Example: `  profilectl model list models
  profilectl model list -c f.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.config()
			if err != nil {
				return err
			}
			dir := filepath.Dir(filepath.Clean(cfg.Model.Dir))
			if len(args) > 0 {
				dir = args[0]
			}
			out := cmd.OutOrStdout()
			if err := listBundles(out, dir); err != nil || s.path == "" {
				return err
			}
			fmt.Fprintf(out, "\nstore %s\n", cfg.Model.StoreDir())
			if err := listBundles(out, cfg.Model.StoreDir()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return s.listPromotions(cmd)
		},
	}
}

func (s *shared) listPromotions(cmd *cobra.Command) error {
	_, c, err := s.kafka(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer c.Close()
	topics, err := c.Topics(cmd.Context())
	if err != nil {
		return err
	}
	if topics[schemas.ModelsTopic] == 0 {
		return nil // nothing was ever promoted
	}
	all, err := models.All(cmd.Context(), c)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout())
	return printPromotions(cmd.OutOrStdout(), all)
}

func listBundles(w io.Writer, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tID\tSTATE")
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(path, bundle.ManifestFile)); err != nil {
			continue
		}
		if b, err := bundle.Load(path); err != nil {
			fmt.Fprintf(t, "%s\t-\t%v\n", e.Name(), err)
		} else {
			fmt.Fprintf(t, "%s\t%s\t%s\n", e.Name(), b.ID(), state(b))
		}
	}
	return t.Flush()
}
