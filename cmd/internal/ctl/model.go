package ctl

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"profilestream/inference/bundle"
	"profilestream/inference/onnx"
)

func modelCommand(*shared) *cobra.Command {
	c := &cobra.Command{Use: "model", Short: "Import encoders, look at model bundles"}
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
	show := &cobra.Command{
		Use: "show BUNDLE", Short: "Verify a bundle and print what it is and how it was judged",
		Example: "  profilectl model show models/current",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := bundle.Load(args[0])
			if err != nil {
				return err
			}
			return printBundle(cmd.OutOrStdout(), b, 0)
		},
	}
	list := &cobra.Command{
		Use: "list [DIR]", Short: "List the bundles of a folder",
		Example: "  profilectl model list models",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "models"
			if len(args) > 0 {
				dir = args[0]
			}
			return listBundles(cmd.OutOrStdout(), dir)
		},
	}
	c.AddCommand(imp, show, list)
	return c
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
