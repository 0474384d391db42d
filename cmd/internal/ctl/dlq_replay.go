package ctl

import (
	"context"
	"fmt"
	"io"
	"sort"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"profilestream/cmd/internal/stage"
	"profilestream/stream/clickhouse"
	"profilestream/stream/wire"
)

func dlqReplayCommand(s *shared) *cobra.Command {
	f := &replayFlags{}
	c := &cobra.Command{
		Use: "replay", Short: "Send dead letters to their input topics again, once what refused them is mended",
		Long: `Replay judges every dead letter by the configuration of now and shows, grouped by
cause, what would become of it: admitted, late (its day is closed: only a run with
a longer lateness admits it), rejected again, or cut (the DLQ could not hold it
whole). With --apply those that would be admitted are sent to the partition that
they came from. The dead letters stay where they are; sent twice, an event counts
once, since one without an id is given its first position as its id. --through
mends them first: a program that reads one JSON record a line and prints one.`,
		Example: `  profilectl dlq replay -c f.yaml                                # a dry run
  profilectl dlq replay -c f.yaml --reason bad_currency --through 'jq -c ".currency = \"GBP\""'
  profilectl dlq replay -c f.yaml --reason future --apply`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if late, _ := cmd.Flags().GetBool("late"); late {
				return fmt.Errorf("%w: late events stay late in this run; a run with a longer profile.lateness admits them", errUsage)
			}
			return s.replayDeadLetters(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), f)
		},
	}
	c.Flags().StringVar(&f.reason, "reason", "", "only this reason")
	c.Flags().StringVar(&f.through, "through", "", "a shell command that mends the records, a line of JSON each")
	c.Flags().BoolVar(&f.apply, "apply", false, "send them; without it nothing is sent")
	return c
}

type replayFlags struct {
	reason, through string
	apply           bool
}

// cause groups dead letters that failed and would fare alike.
type cause struct {
	reason, field string
	outcome       stage.Outcome
	now           string // the reason of today, if rejected again
}

// group is the records of a cause, and the place of one of them.
type group struct {
	n       int
	example string
}

func (s *shared) replayDeadLetters(ctx context.Context, w, stderr io.Writer, f *replayFlags) error {
	cfg, c, err := s.kafka(stderr)
	if err != nil {
		return err
	}
	defer c.Close()
	again, err := stage.NewAgain(ctx, cfg, c)
	if err != nil {
		return err
	}
	erased, err := stage.Erased(ctx, cfg, c)
	if err != nil {
		return err
	}
	groups := map[cause]*group{}
	out := newResender(c)
	judge := func(d *clickhouse.Diverted) error {
		value, outcome, why := again.Judge(d, time.Now())
		k := cause{d.Reason, d.Field, outcome, why.Reason}
		if groups[k] == nil {
			groups[k] = &group{example: fmt.Sprintf("%s %d %d", d.SourceTopic, d.SourcePartition, d.SourceOffset)}
		}
		groups[k].n++
		if !f.apply || outcome != stage.OutcomeAdmitted {
			return nil
		}
		return out.add(ctx, d, value)
	}
	m := &mender{program: f.through, stderr: stderr, then: judge}
	p := &bar{w: stderr}
	n := 0
	err = s.diverted(ctx, stderr, false, func(d *clickhouse.Diverted) error {
		n++
		p.step("reading dead letters", n, n)
		if f.reason != "" && d.Reason != f.reason || stage.Forgotten(erased, d) {
			return nil
		}
		return m.add(ctx, d)
	})
	if err == nil {
		err = m.flush(ctx)
	}
	if err == nil {
		err = out.flush(ctx)
	}
	p.done()
	if err != nil {
		return err
	}
	return printCauses(w, groups, f.apply)
}

func printCauses(w io.Writer, groups map[cause]*group, applied bool) error {
	keys := make([]cause, 0, len(groups))
	admitted := 0
	for k, g := range groups {
		keys = append(keys, k)
		if k.outcome == stage.OutcomeAdmitted {
			admitted += g.n
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		if a, b := groups[keys[i]].n, groups[keys[j]].n; a != b {
			return a > b
		}
		return fmt.Sprint(keys[i]) < fmt.Sprint(keys[j])
	})
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "RECORDS\tREASON\tFIELD\tNOW\t\tAN EXAMPLE")
	for _, k := range keys {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", groups[k].n, k.reason, k.field, k.outcome, k.now, groups[k].example)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	what := "would be sent with --apply"
	if applied {
		what = "sent"
	}
	_, err := fmt.Fprintf(w, "%d %s\n", admitted, what)
	return err
}

// resender appends records to the partitions that they came from.
type resender struct {
	c       *wire.Client
	batches map[wire.TopicPartition]*resend
}

type resend struct {
	producer *wire.Producer
	batch    wire.Builder
}

func newResender(c *wire.Client) *resender {
	return &resender{c: c, batches: map[wire.TopicPartition]*resend{}}
}

func (r *resender) add(ctx context.Context, d *clickhouse.Diverted, value []byte) error {
	const batchBytes = 512 << 10
	tp := wire.TopicPartition{Topic: d.SourceTopic, Partition: d.SourcePartition}
	b := r.batches[tp]
	if b == nil {
		b = &resend{producer: r.c.NewProducer(tp.Topic, tp.Partition, wire.ProducerConfig{})}
		r.batches[tp] = b
	}
	b.batch.Add(time.Now().UnixMilli(), d.Key, value)
	if b.batch.Bytes() < batchBytes {
		return nil
	}
	return b.send(ctx)
}

func (b *resend) send(ctx context.Context) error {
	if b.batch.Len() == 0 {
		return nil
	}
	_, err := b.producer.Append(ctx, &b.batch)
	b.batch.Reset()
	return err
}

func (r *resender) flush(ctx context.Context) error {
	for _, b := range r.batches {
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	return nil
}
