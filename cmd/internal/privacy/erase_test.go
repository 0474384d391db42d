package privacy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"profilestream/cmd/internal/config"
	"profilestream/profile"
	"profilestream/schemas"
	"profilestream/stream"
	"profilestream/stream/clickhouse"
	"profilestream/stream/clickhouse/clickhousetest"
	"profilestream/stream/kafkatest"
	"profilestream/stream/wire"
)

var engine *clickhousetest.Engine

func TestMain(m *testing.M) {
	os.Exit(clickhousetest.Main(m, func(e *clickhousetest.Engine) error { engine = e; return nil }))
}

const user = "ann"

var clicks = wire.TopicPartition{Topic: "clickstream"}

// shop is a cluster with the inputs and the run live, whose windowing is played by
// the test, and its tables.
type shop struct {
	t      *testing.T
	cfg    *config.Config
	c      *wire.Client
	ch     *clickhouse.Client
	epoch  int32  // in which every run reads the clicks
	cutAt  string // the step at which the command is killed
	events string // topic of the event log
}

func newShop(t *testing.T, database string) *shop {
	t.Helper()
	cfg := config.Default()
	cfg.Kafka.Brokers = kafkatest.Fake(t).Addrs
	cfg.ClickHouse.Addr, cfg.ClickHouse.Database, cfg.ClickHouse.BatchInterval = []string{engine.Addr}, database, 10*time.Millisecond
	cfg.Privacy.ErasureKey = "0123456789abcdef"
	s := &shop{t: t, cfg: &cfg, events: cfg.Topics().Events}
	var err error
	s.c, err = wire.NewClient(wire.Config{Brokers: cfg.Kafka.Brokers, MetadataTTL: time.Millisecond})
	s.must(err)
	t.Cleanup(s.c.Close)
	s.start("live")
	for _, topic := range cfg.Input.Topics {
		s.must(s.c.CreateTopics(t.Context(), wire.Topic{Name: topic, Partitions: 1, Replication: 1}))
	}
	s.ch, err = clickhouse.Open(clickhouse.Config{Addr: cfg.ClickHouse.Addr, Database: database, Run: "live", BatchRows: 1, BatchInterval: time.Second})
	s.must(err)
	t.Cleanup(func() { _ = s.ch.Close() })
	_, err = clickhouse.Migrate(t.Context(), s.ch)
	s.must(err)
	return s
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// start makes the topics of a run, with a record in the user's partition of the log.
func (s *shop) start(run string) {
	s.t.Helper()
	s.must(s.c.CreateTopics(s.t.Context(), stream.RunTopics(stream.TopicsConfig{Run: run, Partitions: 2, Replication: 1})...))
	b := new(wire.Builder)
	b.Add(0, nil, profile.AppendWatermark(nil, &profile.Watermark{Source: profile.Source{Topic: clicks.Topic}}))
	_, err := s.c.NewProducer(schemas.RunTopics(run).Events, s.partition(), wire.ProducerConfig{}).Append(s.t.Context(), b)
	s.must(err)
}

// retire removes the topics of a run and waits until the client knows.
func (s *shop) retire(run string) {
	s.t.Helper()
	s.must(s.c.DeleteTopics(s.t.Context(), append(topicsOf(run), schemas.RunTopics(run).Sources)...))
	for there := true; there; {
		topics, err := s.c.Topics(s.t.Context())
		s.must(err)
		there = slices.Contains(runs(topics), run)
	}
}

// click appends n records to the input.
func (s *shop) click(n int) {
	s.t.Helper()
	b := new(wire.Builder)
	for i := range n {
		b.Add(int64(i), []byte(user), []byte("{}"))
	}
	_, err := s.c.NewProducer(clicks.Topic, 0, wire.ProducerConfig{}).Append(s.t.Context(), b)
	s.must(err)
}

// rows puts two rows of the user, and one of somebody else, into each of the tables.
func (s *shop) rows() {
	s.t.Helper()
	for _, statement := range []string{
		"INSERT INTO @db.profiles (user_id, log_partition, log_offset) VALUES ('ann', @partition, 0), ('bob', 0, 0)",
		"INSERT INTO @db.profile_history (user_id, as_of, log_partition, log_offset) VALUES ('ann', '2026-02-01 23:59:59', @partition, 0), ('ann', '2026-02-02 23:59:59', @partition, 0), ('bob', '2026-02-01 23:59:59', 0, 0)",
		"INSERT INTO @db.bad_event_rows (source_topic, source_offset, source_epoch, key, value) VALUES ('clickstream', 1, 0, 'ann', '{'), ('clickstream', 1, 1, '', '{\"user_id\":\"ann\"}'), ('clickstream', 2, 0, 'bob', '{')",
	} {
		s.must(s.ch.Conn().Exec(s.t.Context(), strings.NewReplacer("@db", s.ch.Database(), "@partition", fmt.Sprint(s.partition())).Replace(statement)))
	}
}

func (s *shop) partition() int32 { return profile.Partition([]byte(user), 2) }

// eraser is what one call of profilectl erase makes.
func (s *shop) eraser(ctx context.Context) (*Eraser, context.Context) {
	s.t.Helper()
	ctx, cut := context.WithCancelCause(ctx)
	s.t.Cleanup(func() { cut(nil) })
	e, err := NewEraser(s.cfg, s.c, &Tables{s.ch, s.cfg.ClickHouse.Database}, user, func(what string) {
		if s.cutAt != "" && strings.HasPrefix(what, s.cutAt) {
			cut(errKilled)
		}
	})
	s.must(err)
	e.Epochs = func(_ context.Context, _ *wire.Client, _ string, tps []wire.TopicPartition) ([]int32, error) {
		epochs := make([]int32, len(tps))
		for i, tp := range tps {
			if tp == clicks {
				epochs[i] = s.epoch
			}
		}
		return epochs, nil
	}
	return e, ctx
}

var errKilled = errors.New("killed")

func (s *shop) announce(again bool) error {
	s.t.Helper()
	e, ctx := s.eraser(s.t.Context())
	return e.Announce(ctx, again)
}

func (s *shop) receipt() *Receipt {
	s.t.Helper()
	e, ctx := s.eraser(s.t.Context())
	r, err := e.Receipt(ctx)
	s.must(err)
	return r
}

// entry is what the topic of erasures holds of the user now.
func (s *shop) entry() Entry {
	s.t.Helper()
	e, ctx := s.eraser(s.t.Context())
	x, err := e.find(ctx)
	s.must(err)
	if x == nil {
		s.t.Fatal("no erasure is known")
	}
	return *x
}

// heard lists the erase records of a log.
func (s *shop) heard(topic string) (out []profile.Erase) {
	s.t.Helper()
	for p := range int32(2) {
		_, err := stream.Read(s.t.Context(), s.c, stream.ReadConfig{TopicPartition: wire.TopicPartition{Topic: topic, Partition: p}, From: wire.Earliest}, func(r *wire.Record) error {
			var record profile.Record
			if err := profile.DecodeRecord(r.Value, &record); err != nil {
				return err
			}
			if record.Kind == profile.KindErase {
				out = append(out, record.Erase.Clone())
			}
			return nil
		})
		s.must(err)
	}
	return out
}

// windowed commits how far the run's windowing has come in the user's log partition.
func (s *shop) windowed(offset int64) {
	s.t.Helper()
	tp := wire.TopicPartition{Topic: s.events, Partition: s.partition()}
	s.must(s.c.Commit(s.t.Context(), wire.Member{Group: "profilestream.live.windowing", Generation: -1}, map[wire.TopicPartition]wire.Position{tp: {Offset: offset}}))
}

// TestReceiptTellsWhatIsLeft follows an erasure through its stages. Each is what is
// found: going back to an earlier state of a store takes the stage back.
func TestReceiptTellsWhatIsLeft(t *testing.T) {
	s := newShop(t, "receipts")
	s.click(5)
	s.rows()
	e, ctx := s.eraser(t.Context())
	if _, err := e.Receipt(ctx); !errors.Is(err, ErrUnknown) {
		t.Fatalf("before: %v", err)
	}
	s.must(s.announce(false))
	look := func(want Stage, rows int64) {
		t.Helper()
		r := s.receipt()
		if r.Stage != want || len(r.Runs) != 1 || r.Runs[0].Rows != rows || !r.Runs[0].Told {
			t.Fatalf("the receipt is %+v, want %s with %d rows", r, want, rows)
		}
	}
	// Of the dead letter in epoch 1, which no run has read yet, the erasure says nothing.
	look(StageAnnounced, 4)
	s.windowed(1)
	look(StageAnnounced, 4)
	s.windowed(2)
	look(StageState, 4)
	e, ctx = s.eraser(t.Context())
	s.must(e.Await(ctx, time.Minute))
	look(StageTables, 0)
	r := s.receipt()
	if d := cmp.Diff([]InputLeft{{Topic: "clickstream", Ends: []int64{5}}, {Topic: "purchases", Ends: []int64{0}}}, r.Inputs, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Until" }, cmp.Ignore())); d != "" {
		t.Error("the inputs:", d)
	}
	if n := len(r.Runs[0].Topics); n != 7 {
		t.Errorf("%d topics hold the user, want seven", n)
	}
	s.rows() // a sink that held rows when it heard of the erasure
	look(StageState, 4)
	e, ctx = s.eraser(t.Context())
	s.must(e.Await(ctx, time.Minute))
	s.retire("live")
	look(StageComplete, 0)
	left := map[string]uint64{}
	for _, table := range []string{"profiles", "profile_history", "bad_event_rows"} {
		var n uint64
		s.must(s.ch.Conn().QueryRow(t.Context(), "SELECT count() FROM "+s.ch.Database()+"."+table+" FINAL").Scan(&n))
		left[table] = n
	}
	if d := cmp.Diff(map[string]uint64{"profiles": 1, "profile_history": 1, "bad_event_rows": 2}, left); d != "" {
		t.Error("rows that are left:", d)
	}
	var statements, told uint64
	s.must(s.ch.Conn().QueryRow(t.Context(), "SELECT count(), countIf(position(command, 'ann') > 0) FROM system.mutations WHERE database = 'receipts'").Scan(&statements, &told))
	if statements == 0 || told > 0 {
		t.Errorf("%d of %d statements hold the id", told, statements)
	}
}

// TestErasureIsCompletedByRepeatingIt: killed before each of its effects in turn, and
// begun again after the user has come back and another run has begun. It erases what
// it was begun for and the other run never hears the id; with again, it is a new one.
func TestErasureIsCompletedByRepeatingIt(t *testing.T) {
	s := newShop(t, "repeated")
	s.click(5)
	s.cutAt = "reading"
	if err := s.announce(false); !errors.Is(err, errKilled) {
		t.Fatalf("killed before anything: %v", err)
	}
	s.click(1)
	s.cutAt = "telling"
	if err := s.announce(false); !errors.Is(err, errKilled) {
		t.Fatalf("killed before a log hears of it: %v", err)
	}
	begun := s.entry()
	if begun.Positions[0].End != 6 || begun.Logs[0].Offset != -1 || len(s.heard(s.events)) != 0 {
		t.Fatalf("begun as %+v", begun)
	}
	s.start("later")
	s.click(2)
	s.cutAt = ""
	for range 2 {
		s.must(s.announce(false))
		done := s.entry()
		if d := cmp.Diff(begun.Positions, done.Positions); d != "" || !done.ErasedAt.Equal(begun.ErasedAt) || done.Logs[0].Offset != 1 {
			t.Errorf("repeated: %+v; %s", done, d)
		}
		if mine, others := s.heard(s.events), s.heard("profile.later.events"); len(mine) != 1 || string(mine[0].User) != user || len(others) != 0 {
			t.Errorf("the logs hold %+v and %+v", mine, others)
		}
	}
	s.must(s.announce(true))
	if again := s.entry(); again.Positions[0].End != 8 || len(again.Logs) != 2 || len(s.heard("profile.later.events")) != 1 {
		t.Errorf("again: %+v", again)
	}
}

// TestErasureInANewEpoch: an input topic was made anew, and runs read it in its
// next epoch. An erasure from then on takes all of the old one and of the new one
// what is there now. What the topic holds when it is made anew once more came
// later.
func TestErasureInANewEpoch(t *testing.T) {
	s := newShop(t, "epochs")
	s.click(9)
	s.must(s.announce(false))
	s.must(s.c.DeleteTopics(t.Context(), clicks.Topic))
	s.must(s.c.CreateTopics(t.Context(), wire.Topic{Name: clicks.Topic, Partitions: 1, Replication: 1}))
	s.epoch = 1
	s.click(3)
	covered := func(log string) (out []string) {
		t.Helper()
		key, err := ErasureKey(&s.cfg.Privacy)
		s.must(err)
		set, _, err := Load(t.Context(), s.c, key, log)
		s.must(err)
		for epoch := range int32(3) {
			for _, offset := range []int64{2, 3, 8, 9} {
				if covers, _ := set.Covers([]byte(user), &profile.Source{Topic: clicks.Topic, Epoch: epoch}, offset); covers {
					out = append(out, fmt.Sprintf("%d@%d", epoch, offset))
				}
			}
		}
		return out
	}
	if d := cmp.Diff([]string{"0@2", "0@3", "0@8"}, covered(s.events)); d != "" {
		t.Error("erased in the first epoch:", d)
	}
	s.must(s.announce(true))
	if d := cmp.Diff([]string{"0@2", "0@3", "0@8", "0@9", "1@2"}, covered(s.events)); d != "" {
		t.Error("erased in the next one:", d)
	}
	// A run begun later reads the topic that is there in its own first epoch.
	if d := cmp.Diff([]string{"0@2"}, covered("profile.later.events")); d != "" {
		t.Error("a run begun later:", d)
	}
	heard := s.heard(s.events)
	if want := (profile.Position{Source: profile.Source{Topic: clicks.Topic, Epoch: 1}, NextOffset: 3}); len(heard) != 2 || heard[1].Positions[0] != want {
		t.Errorf("the log holds %+v, want %+v in the second", heard, want)
	}
}

// TestRunMadeAnewUnderItsName: its log no longer holds the erase record, so that
// to it the erasure is one from before its time, which admission goes by.
func TestRunMadeAnewUnderItsName(t *testing.T) {
	s := newShop(t, "anew")
	s.click(5)
	s.must(s.announce(false))
	key, err := ErasureKey(&s.cfg.Privacy)
	s.must(err)
	for _, anew := range []bool{false, true} {
		if anew {
			s.retire("live")
			s.start("live")
		}
		set, _, err := Load(t.Context(), s.c, key, s.events)
		s.must(err)
		if covers, listed := set.Covers([]byte(user), &profile.Source{Topic: clicks.Topic}, 4); !covers || listed == anew {
			t.Errorf("made anew %v: covers %v, listed %v", anew, covers, listed)
		}
		if hides := set.Hides([]byte(user), s.partition(), -1); hides == anew {
			t.Errorf("made anew %v: hides rows %v", anew, hides)
		}
	}
	if r := s.receipt(); r.Stage != StageComplete {
		t.Errorf("the run that was there is gone, and the stage is %s", r.Stage)
	}
}

// TestTwoErasuresAtOnce: the one begun last goes on, the other one says so.
func TestTwoErasuresAtOnce(t *testing.T) {
	s := newShop(t, "twice")
	s.click(5)
	e, ctx := s.eraser(t.Context())
	e.Step = func(what string) {
		if strings.HasPrefix(what, "telling") {
			s.must(s.announce(false))
		}
	}
	if err := e.Announce(ctx, false); !errors.Is(err, wire.ErrFenced) || !strings.Contains(err.Error(), "repeat") {
		t.Errorf("the first one: %v", err)
	}
	if r := s.receipt(); !r.Runs[0].Told {
		t.Errorf("the second one is not done: %+v", r)
	}
}
