package privacy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/wire"
)

// ErrUnknown: the user was never erased.
var ErrUnknown = errors.New("no erasure of this user is known")

// Eraser erases one user, and tells how far that has come.
//
// Its effects come in this order, each of them harmless when it comes again: the
// record with the positions and the logs that there are; an erase record in each
// log; the record again, with their places; the user's rows in ClickHouse.
//
//   - Cut off anywhere, repeating it goes on with the same positions, and only in
//     the logs that the record lists: a run that began since must never hear the
//     id.
//   - A run that makes its topics between the list and the record may have begun
//     without it. So the logs are listed once more after it was written.
type Eraser struct {
	Config *config.Config
	Client *wire.Client
	Tables *Tables
	Key    *Key
	// Epochs are those in which a run reads, or will read, what partitions hold now.
	Epochs func(ctx context.Context, c *wire.Client, run string, tps []wire.TopicPartition) ([]int32, error)
	Step   func(what string) // is told what is done next
	Now    func() time.Time

	user   string // as our stores hold it
	hashes []Hash // of the id and, where pseudonyms are on, of the user's
}

// NewEraser prepares the erasure of a user, who is named as in the input.
func NewEraser(cfg *config.Config, c *wire.Client, t *Tables, user string, step func(string)) (*Eraser, error) {
	key, err := ErasureKey(&cfg.Privacy)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, &config.Error{Key: "privacy.erasure_key_file", Reason: "is needed to erase: openssl rand -hex 32 makes a key; give it to every ingest and sink first"}
	}
	pseudonyms, err := NewPseudonyms(&cfg.Privacy)
	if err != nil {
		return nil, err
	}
	e := &Eraser{Config: cfg, Client: c, Tables: t, Key: key, Step: step, Now: time.Now, user: pseudonyms.Stored(user)}
	e.hashes = []Hash{key.Hash([]byte(user))}
	if e.user != user {
		e.hashes = append(e.hashes, key.Hash([]byte(e.user)))
	}
	return e, nil
}

// find reads the user's entry.
func (e *Eraser) find(ctx context.Context) (found *Entry, err error) {
	topics, err := e.Client.Topics(ctx)
	if err != nil || topics[topic.Topic] == 0 {
		return nil, err
	}
	_, err = read(ctx, e.Client, wire.Earliest, false, func(h Hash, x Entry) error {
		if h == e.hashes[len(e.hashes)-1] {
			found = &x
		}
		return nil
	})
	if err == nil && found != nil && found.Key != e.Key.ID {
		err = &config.Error{Key: "privacy.erasure_key_file", Reason: "the user was erased with another key"}
	}
	return found, err
}

// Announce writes the erasure and tells every event log. With again, what the
// user did since the last erasure is erased too.
func (e *Eraser) Announce(ctx context.Context, again bool) error {
	if err := e.Client.CreateTopics(ctx, stream.SharedTopics(e.Config.Log.Replication)...); err != nil {
		return err
	}
	txn, err := e.Client.NewTransactor(ctx, "profilestream.erasures", wire.TransactorConfig{})
	if err != nil {
		return err
	}
	x, err := e.find(ctx)
	if err != nil {
		return err
	}
	if fresh := x == nil || again; fresh {
		e.Step("reading where the inputs end")
		if x, err = e.begin(ctx); err != nil {
			return err
		}
		if err := write(ctx, txn, e.Now().UnixMilli(), e.hashes, x); err != nil {
			return err
		}
		if err := e.list(ctx, x); err != nil {
			return err
		}
	}
	if err := e.tell(ctx, x); err != nil {
		return fmt.Errorf("the erasure is announced but not every run has heard of it; repeat the command to complete it: %w", err)
	}
	return write(ctx, txn, e.Now().UnixMilli(), e.hashes, x)
}

// begin makes the entry of a new erasure.
func (e *Eraser) begin(ctx context.Context) (*Entry, error) {
	x := &Entry{Format: entryFormat, Key: e.Key.ID, ErasedAt: e.Now().UTC().Truncate(time.Millisecond)}
	tps, err := e.Client.Partitions(ctx, e.Config.Input.Topics...)
	if err != nil {
		return nil, err
	}
	for _, tp := range tps {
		end, err := e.Client.ListOffset(ctx, tp.Topic, tp.Partition, wire.Latest, false)
		if err != nil {
			return nil, err
		}
		x.Positions = append(x.Positions, Position{tp.Topic, tp.Partition, end})
	}
	return x, e.list(ctx, x)
}

// list adds the runs and event logs that there are and that the entry lacks.
func (e *Eraser) list(ctx context.Context, x *Entry) error {
	topics, err := e.Client.Topics(ctx)
	if err != nil {
		return err
	}
	var others []string
	for _, run := range runs(topics) {
		if !slices.Contains(x.Runs, run) {
			x.Runs = append(x.Runs, run)
			if topics[schemas.RunTopics(run).Events] == 0 {
				others = append(others, run)
			}
		}
		events := schemas.RunTopics(run).Events
		if topics[events] == 0 || x.log(events) != nil {
			continue
		}
		l := Log{Topic: events, Partition: profile.Partition([]byte(e.user), int32(topics[events])), Offset: -1}
		if l.Epochs, err = e.epochs(ctx, run, x); err != nil {
			return err
		}
		x.Logs = append(x.Logs, l)
	}
	return e.readers(ctx, x, others)
}

// readers finds which log each run reads that has none of its own.
func (e *Eraser) readers(ctx context.Context, x *Entry, runs []string) error {
	for _, run := range runs {
		at, err := e.windowed(ctx, run, x)
		if err != nil {
			return err
		}
		for tp, c := range at {
			if c.Offset >= 0 {
				if x.Reads == nil {
					x.Reads = map[string]string{}
				}
				x.Reads[run] = tp.Topic
			}
		}
	}
	return nil
}

// runs are the names of the runs that have topics.
func runs(topics map[string]int) []string {
	var out []string
	for name := range topics {
		rest, ours := strings.CutPrefix(name, "profile.")
		run, what, two := strings.Cut(rest, ".")
		if !ours || !two || slices.Contains(out, run) {
			continue
		}
		if slices.Contains(topicsOf(run), "profile."+run+"."+what) {
			out = append(out, run)
		}
	}
	sort.Strings(out)
	return out
}

func topicsOf(run string) []string {
	t := schemas.RunTopics(run)
	return []string{t.Events, t.Windows, t.Days, t.Scored, t.State, t.DLQ, t.Late}
}

// epochs are those of the entry's positions in a run, nil if all are 0.
func (e *Eraser) epochs(ctx context.Context, run string, x *Entry) ([]int32, error) {
	var tps []wire.TopicPartition
	for _, p := range x.Positions {
		tps = append(tps, wire.TopicPartition{Topic: p.Topic, Partition: p.Partition})
	}
	out, err := e.Epochs(ctx, e.Client, run, tps)
	if err != nil || !slices.ContainsFunc(out, func(n int32) bool { return n != 0 }) {
		return nil, err
	}
	return out, nil
}

// tell appends the erase record to the logs that do not have it.
func (e *Eraser) tell(ctx context.Context, x *Entry) error {
	topics, err := e.Client.Topics(ctx)
	if err != nil {
		return err
	}
	for i := range x.Logs {
		l := &x.Logs[i]
		if l.Offset >= 0 || topics[l.Topic] == 0 {
			continue
		}
		e.Step("telling " + l.Topic)
		record := x.erase([]byte(e.user), l)
		b := new(wire.Builder)
		b.Add(e.Now().UnixMilli(), nil, profile.AppendErase(nil, &record))
		if l.Offset, err = e.Client.NewProducer(l.Topic, l.Partition, wire.ProducerConfig{}).Append(ctx, b); err != nil {
			l.Offset = -1
			return err
		}
	}
	return nil
}

// Await waits until every run's state is erased and then removes the user's rows,
// until there are none. Past the patience it does what it can and returns: what
// is left shows in the receipt.
func (e *Eraser) Await(ctx context.Context, patience time.Duration) error {
	x, err := e.find(ctx)
	if err != nil {
		return err
	}
	end := e.Now().Add(patience)
	e.Step("waiting until the state is erased")
	for {
		r, err := e.Receipt(ctx)
		if err != nil {
			return err
		}
		if r.Stage != StageAnnounced || !e.Now().Before(end) {
			break
		}
		if err := wire.Sleep(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
	// A row that the sink held when it heard of the erasure is written after it.
	settle := e.Config.ClickHouse.BatchInterval + time.Second
	for {
		e.Step("removing rows")
		held, err := e.held(ctx, x)
		if err != nil {
			return err
		}
		if err := e.Tables.Remove(ctx, e.user, held); err != nil {
			return err
		}
		if !e.Now().Before(end) {
			return nil
		}
		if err := wire.Sleep(ctx, settle); err != nil {
			return err
		}
		if n, err := e.Tables.Count(ctx, e.user, held); err != nil || n.total() == 0 {
			return err
		}
	}
}

// held is the entry with those of its runs that were not made anew since: what a
// new one holds came after the erasure.
func (e *Eraser) held(ctx context.Context, x *Entry) (*Entry, error) {
	topics, err := e.Client.Topics(ctx)
	if err != nil {
		return nil, err
	}
	out := *x
	out.Runs = nil
	for _, run := range x.Runs {
		l := x.log(schemas.RunTopics(run).Events)
		if l != nil && l.Offset >= 0 && topics[l.Topic] > 0 {
			stands, err := x.stands(ctx, e.Client, l)
			if err != nil {
				return nil, err
			}
			if !stands {
				continue
			}
		}
		out.Runs = append(out.Runs, run)
	}
	return &out, nil
}
