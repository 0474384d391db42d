package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/stage"
	"profilestream/cmd/internal/verify"
	"profilestream/schemas"
)

// errDiffer is why verify fails though it has worked.
var errDiffer = errors.New("the runs differ")

var runName = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

type verifyFlags struct {
	from, to  string
	databases bool
	shown     int
	json      bool
}

func verifyCommand(s *shared) *cobra.Command {
	f := &verifyFlags{}
	c := &cobra.Command{
		Use:   "verify RUN_A RUN_B",
		Short: "Prove that two runs hold the same profiles, or say where they differ and why",
		Long: `Verify compares the ClickHouse tables of two runs: day rows by user and as_of,
latest rows by user. Digests and features must be equal, and scores within 1e-4 at
equal model_version. Versions, triggers, log positions and times of scoring are not
compared, nor are embeddings.

It prints what it compared. Where something differs it prints how many rows by cause
(a late event that one run admitted, another version of the code, another
configuration, another model, a run that lags, a missing or an altered row) and the
first ones, with the customers' ids. Day rows are compared by hashes, month by month;
only months that differ are read.

Exit code: 0 the runs are equal; 1 they differ, or the comparison failed.`,
		Example: `  profilectl verify live june -c f.yaml
  profilectl verify live june -c f.yaml --from 2026-01-01 --to 2026-05-31
  profilectl verify --databases shop shop_copy -c f.yaml --json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.run(cmd, s, args)
			if err != nil {
				return err
			}
			if f.json {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				err = e.Encode(r)
			} else {
				err = printVerified(cmd.OutOrStdout(), r)
			}
			if err == nil && !r.Equal() {
				err = fmt.Errorf("%w: %s and %s", errDiffer, r.A.Name, r.B.Name)
			}
			return err
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.from, "from", "", "first UTC day of the rows, such as 2026-01-01, or a time; without it all")
	fl.StringVar(&f.to, "to", "", "last UTC day of the rows, or a time; with it latest rows are not compared")
	fl.BoolVar(&f.databases, "databases", false, "the arguments name databases, not runs")
	fl.IntVar(&f.shown, "limit", 10, "most differences that are shown, but one of each cause")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func (f *verifyFlags) run(cmd *cobra.Command, s *shared, args []string) (*verify.Report, error) {
	cfg, err := s.config()
	if err != nil {
		return nil, err
	}
	o := verify.Options{Shown: f.shown}
	if o.From, err = periodEdge("--from", f.from, false); err != nil {
		return nil, err
	}
	if o.To, err = periodEdge("--to", f.to, true); err != nil {
		return nil, err
	}
	if f.shown < 1 {
		return nil, fmt.Errorf("%w: --limit must be at least 1", errUsage)
	}
	for i, r := range []*verify.Run{&o.A, &o.B} {
		r.Name, r.Database = args[i], args[i]
		if !f.databases {
			if !runName.MatchString(r.Name) {
				return nil, fmt.Errorf("%w: %q is no run's name ([a-z0-9_], at most 32); --databases takes names of databases", errUsage, r.Name)
			}
			r.Database = schemas.Database(cfg.ClickHouse.Database, r.Name)
		}
	}
	if o.A == o.B {
		return nil, fmt.Errorf("%w: %s is compared with itself", errUsage, o.A.Name)
	}
	c, err := stage.ClickHouse(cfg)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	p := &bar{w: cmd.ErrOrStderr()}
	defer p.done()
	o.Progress = p.step
	return verify.Compare(cmd.Context(), c.Conn(), o)
}

// periodEdge reads a day, of which it takes the start or the end, or a time.
func periodEdge(flag, s string, end bool) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		if end {
			day = day.AddDate(0, 0, 1).Add(-time.Millisecond)
		}
		return day, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("%w: %s: %q is neither a day such as 2026-01-01 nor a time such as 2026-01-01T12:00:00Z", errUsage, flag, s)
	}
	return t, nil
}

// printVerified writes the report for people.
func printVerified(w io.Writer, r *verify.Report) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "COMPARED\tROWS OF %s\tROWS OF %s\tUSERS\t\tDAYS\t\t\n", r.A.Name, r.B.Name)
	for _, p := range r.Parts {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", p.Table, p.RowsA, p.RowsB, p.UsersA, p.UsersB, p.DaysA, p.DaysB)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "Columns: %d features and %s; not compared: %s.\n", r.Features, strings.Join(verify.Columns(), ", "), strings.Join(verify.NotCompared(), ", "))
	if r.OtherModel > 0 {
		fmt.Fprintf(w, "%d rows have another model_version and the same scores.\n", r.OtherModel)
	}
	for _, s := range r.Schema {
		fmt.Fprintf(w, "Feature %s.\n", s)
	}
	if r.Equal() {
		_, err := fmt.Fprintln(w, "Equal.")
		return err
	}
	fmt.Fprintln(w)
	fmt.Fprintln(t, "CAUSE\tROWS\t")
	for _, c := range verify.Causes() {
		if n := r.Rows[c]; n > 0 {
			fmt.Fprintf(t, "%s\t%d\t\n", c, n)
		}
	}
	fmt.Fprintln(t, "\nFIRST DIFFERENCES")
	fmt.Fprintln(t, "DAY\tUSER\tTABLE\tCAUSE\tWHY")
	for _, d := range r.First {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", d.AsOf.UTC().Format("2006-01-02"), d.User, d.Table, d.Cause, d.Detail)
	}
	return t.Flush()
}
