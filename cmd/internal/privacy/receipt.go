package privacy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"profilestream/stream/wire"
)

// Stage is how far an erasure has come.
type Stage string

// The stages, in order. Each holds what the ones before it hold.
const (
	// StageAnnounced: every run knows that it is to forget the user.
	StageAnnounced Stage = "announced"
	// StageState: no run's state, and no local copy of it, holds the user.
	StageState Stage = "state erased"
	// StageTables: no table of ours holds the user.
	StageTables Stage = "tables clean"
	// StageComplete: every run that there was is retired, its topics with it.
	StageComplete Stage = "complete"
)

// Receipt is what is left of an erased user, as found just now.
type Receipt struct {
	Hash     string      `json:"hmac_sha256"`
	KeyID    string      `json:"key_id"`
	ErasedAt time.Time   `json:"erased_at"`
	Looked   time.Time   `json:"looked_at"`
	Stage    Stage       `json:"stage"`
	Runs     []RunLeft   `json:"runs"`
	Inputs   []InputLeft `json:"inputs"` // the owner's duty
}

// RunLeft is what a run holds that there was when the user was erased.
type RunLeft struct {
	Run     string `json:"run"`
	Told    bool   `json:"told"`         // its log holds the erase record
	State   bool   `json:"state_erased"` // windowing has come past it
	Rows    int64  `json:"rows"`         // of the user in ClickHouse
	Retired bool   `json:"retired"`
	// Topics of the run that exist, and until when they hold what was written
	// before the erasure; zero: until they are deleted.
	Topics []TopicLeft `json:"topics,omitempty"`
}

// TopicLeft is a topic that may hold old records.
type TopicLeft struct {
	Topic   string    `json:"topic"`
	Until   time.Time `json:"until,omitzero"`
	Compact bool      `json:"compacted,omitempty"` // holds them until the broker compacts it
}

// InputLeft is an input topic: whoever owns it erases it.
type InputLeft struct {
	Topic string    `json:"topic"`
	Ends  []int64   `json:"below_offsets"` // by partition
	Until time.Time `json:"until,omitzero"`
}

// Receipt looks at every store.
func (e *Eraser) Receipt(ctx context.Context) (*Receipt, error) {
	x, err := e.find(ctx)
	if err != nil {
		return nil, err
	}
	if x == nil {
		return nil, ErrUnknown
	}
	r := &Receipt{Hash: e.hashes[0].String(), KeyID: x.Key, ErasedAt: x.ErasedAt, Looked: e.Now().UTC().Truncate(time.Millisecond)}
	topics, err := e.Client.Topics(ctx)
	if err != nil {
		return nil, err
	}
	held, err := e.held(ctx, x)
	if err != nil {
		return nil, err
	}
	rows, err := e.Tables.Count(ctx, e.user, held)
	if err != nil {
		return nil, err
	}
	for _, run := range x.Runs {
		left := RunLeft{Run: run, Rows: rows[run], Retired: true}
		if l := x.logOf(run); l != nil {
			left.Told = l.Offset >= 0
		}
		if slices.Contains(held.Runs, run) {
			if err := e.run(ctx, &left, x, topics); err != nil {
				return nil, err
			}
		}
		r.Runs = append(r.Runs, left)
	}
	r.Stage = stage(r.Runs)
	return r, e.inputs(ctx, r, x, topics)
}

func stage(runs []RunLeft) Stage {
	state, tables, retired := true, true, true
	for _, l := range runs {
		state = state && (l.State || l.Retired)
		tables = tables && l.Rows == 0
		retired = retired && l.Retired
	}
	switch {
	case state && tables && retired:
		return StageComplete
	case state && tables:
		return StageTables
	case state:
		return StageState
	}
	return StageAnnounced
}

// run looks at the topics of a run that was not made anew.
func (e *Eraser) run(ctx context.Context, left *RunLeft, x *Entry, topics map[string]int) error {
	for _, name := range topicsOf(left.Run) {
		if topics[name] == 0 {
			continue
		}
		t, err := e.topic(ctx, name, x.ErasedAt)
		if err != nil {
			return err
		}
		left.Topics = append(left.Topics, t)
	}
	if len(left.Topics) == 0 {
		return nil
	}
	left.Retired = false
	var err error
	left.State, err = e.passed(ctx, left.Run, x)
	return err
}

// passed says whether a run's windowing has made a checkpoint behind the erase
// record of the log that it reads, be it its own or another run's.
func (e *Eraser) passed(ctx context.Context, run string, x *Entry) (bool, error) {
	l := x.logOf(run)
	if l == nil || l.Offset < 0 {
		return false, nil
	}
	at, err := e.windowed(ctx, run, x)
	return at[wire.TopicPartition{Topic: l.Topic, Partition: l.Partition}].Offset > l.Offset, err
}

// windowed is how far a run's windowing has come in the user's partition of each log.
func (e *Eraser) windowed(ctx context.Context, run string, x *Entry) (map[wire.TopicPartition]wire.Position, error) {
	var tps []wire.TopicPartition
	for _, l := range x.Logs {
		tps = append(tps, wire.TopicPartition{Topic: l.Topic, Partition: l.Partition})
	}
	return e.Client.CommittedOffsets(ctx, "profilestream."+run+".windowing", tps)
}

// topic tells until when a topic holds what was written before the erasure.
func (e *Eraser) topic(ctx context.Context, name string, erased time.Time) (t TopicLeft, err error) {
	t.Topic = name
	settings, err := e.Client.TopicSettings(ctx, name)
	if err != nil {
		return t, err
	}
	t.Compact = settings["cleanup.policy"] == "compact"
	if ms, err := strconv.ParseInt(settings["retention.ms"], 10, 64); err == nil && ms >= 0 && !t.Compact {
		t.Until = erased.Add(time.Duration(ms) * time.Millisecond)
	}
	return t, nil
}

func (e *Eraser) inputs(ctx context.Context, r *Receipt, x *Entry, topics map[string]int) error {
	for _, p := range x.Positions {
		if topics[p.Topic] == 0 {
			continue
		}
		n := len(r.Inputs)
		if n == 0 || r.Inputs[n-1].Topic != p.Topic {
			t, err := e.topic(ctx, p.Topic, x.ErasedAt)
			if err != nil {
				return fmt.Errorf("looking at the input: %w", err)
			}
			r.Inputs = append(r.Inputs, InputLeft{Topic: p.Topic, Until: t.Until})
			n++
		}
		r.Inputs[n-1].Ends = append(r.Inputs[n-1].Ends, p.End)
	}
	return nil
}
