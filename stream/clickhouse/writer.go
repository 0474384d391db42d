package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Meta is what a message says of all its rows.
type Meta struct {
	// History sends scored rows to profile_history instead of profiles.
	History bool
	// Promotion is the promotion number of the model that scored them.
	Promotion int64
	// ConfigVersion is the hash of the settings that decide the features.
	ConfigVersion string
}

// Rejected is one row that ClickHouse refuses. Record holds that row alone and
// is valid during the call.
type Rejected struct {
	Table  string
	Record arrow.Record
	Meta   Meta
	Err    error
}

// Deps are what a Writer needs from its owner; every field may be zero.
type Deps struct {
	Metrics *Metrics
	Log     *slog.Logger
	// OnRejected must keep the row somewhere durable before it returns. Rows
	// of the tables of diverted events must not go to the topics they came
	// from. Without it a refused row is fatal.
	OnRejected func(ctx context.Context, r Rejected) error
}

// Writer batches Arrow records into blocks, one lane a table, and inserts
// them. Add and Flush may be called from any goroutine while Run runs.
type Writer struct {
	cfg     Config
	deps    Deps
	sender  sender
	breaker *gobreaker.CircuitBreaker[struct{}]
	lanes   map[string]*lane
	room    *semaphore.Weighted
	buffers buffers
	stopped chan struct{} // closed when Run has ended
	mu      sync.Mutex
	err     error // why Run has ended, set before stopped closes
}

// sender sends one encoded block and returns when ClickHouse has acknowledged
// it. Besides the driver's there is the fake of the tests.
type sender interface {
	ping(ctx context.Context) error
	exec(ctx context.Context, statement string) error
	send(ctx context.Context, t *table, b *encoded) error
}

// ErrStopped is returned by Add and Flush after Run has ended.
var ErrStopped = errors.New("the clickhouse writer has stopped")

// NewWriter returns a writer to the run's database; Run must be called for it
// to make progress.
func NewWriter(c *Client, deps Deps) *Writer {
	return newWriter(c.cfg, newSender(c), deps)
}

func newWriter(cfg Config, s sender, deps Deps) *Writer {
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	if deps.Metrics == nil {
		deps.Metrics = NewMetrics(nil)
	}
	w := &Writer{
		cfg: cfg, deps: deps, sender: s,
		lanes:   map[string]*lane{},
		room:    semaphore.NewWeighted(cfg.MaxQueuedBytes),
		stopped: make(chan struct{}),
	}
	w.breaker = w.newBreaker()
	for _, t := range newTables(cfg.RunDatabase(), cfg.HistoryEmbedding) {
		w.lanes[t.name] = newLane(w, t)
	}
	w.lanes[TableHistory].ledger = newLedger(w)
	return w
}

// Run sends blocks until ctx ends or a fatal error occurs. Rows that are not
// acknowledged by then stay so: their tickets fail.
func (w *Writer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range w.lanes {
		g.Go(func() error { return l.run(ctx) })
	}
	err := g.Wait()
	w.mu.Lock()
	w.err = fmt.Errorf("%w: %w", ErrStopped, err)
	w.mu.Unlock()
	close(w.stopped)
	for _, l := range w.lanes {
		l.abandon(w.err)
	}
	return err
}

// Ticket stands for the rows of one Add.
type Ticket struct{ b *batch }

// Done closes when the rows are acknowledged or have failed.
func (t Ticket) Done() <-chan struct{} { return t.b.done }

// Err says, after Done, why the rows are not in ClickHouse; nil if they are.
func (t Ticket) Err() error { return t.b.err }

// AddScored queues the rows of a record of schemas.ScoredRows. It blocks while
// the queue is full.
func (w *Writer) AddScored(ctx context.Context, rec arrow.Record, meta Meta) (Ticket, error) {
	name := TableProfiles
	if meta.History {
		name = TableHistory
	}
	return w.add(ctx, name, rec, meta)
}

// AddAccounting queues the rows of a record of schemas.AccountingRows.
func (w *Writer) AddAccounting(ctx context.Context, rec arrow.Record) (Ticket, error) {
	return w.add(ctx, TableAccounting, rec, Meta{})
}

// AddBad queues records of the DLQ topic.
func (w *Writer) AddBad(ctx context.Context, rows []Diverted) (Ticket, error) {
	return w.addDiverted(ctx, TableBadEvents, rows)
}

// AddLate queues records of the late topic.
func (w *Writer) AddLate(ctx context.Context, rows []Diverted) (Ticket, error) {
	return w.addDiverted(ctx, TableLateEvents, rows)
}

func (w *Writer) addDiverted(ctx context.Context, name string, rows []Diverted) (Ticket, error) {
	rec := divertedRecord(rows)
	defer rec.Release()
	return w.add(ctx, name, rec, Meta{})
}

func (w *Writer) add(ctx context.Context, name string, rec arrow.Record, meta Meta) (Ticket, error) {
	l := w.lanes[name]
	if !rec.Schema().Equal(l.table.schema) {
		return Ticket{}, &encodeError{fmt.Errorf("a record for table %s has another schema", name)}
	}
	if rec.NumRows() == 0 {
		return Ticket{acknowledged}, nil
	}
	size := min(recordBytes(rec), w.cfg.MaxQueuedBytes)
	if err := w.acquire(ctx, size); err != nil {
		return Ticket{}, err
	}
	b, err := l.add(chunk{rec, meta}, size)
	return Ticket{b}, err
}

// acquire waits for room in the queue. When there is none, blocks that still
// wait for more rows are sent at once, so that waiting always ends.
func (w *Writer) acquire(ctx context.Context, size int64) error {
	if w.room.TryAcquire(size) {
		w.deps.Metrics.queued.Add(float64(size))
		return nil
	}
	for _, l := range w.lanes {
		l.seal()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-w.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := w.room.Acquire(ctx, size); err != nil {
		select {
		case <-w.stopped:
			return w.err
		default:
			return err
		}
	}
	w.deps.Metrics.queued.Add(float64(size))
	return nil
}

func (w *Writer) release(size int64) {
	w.room.Release(size)
	w.deps.Metrics.queued.Sub(float64(size))
}

// Flush sends what is queued at once and waits until every row added before
// the call is acknowledged.
func (w *Writer) Flush(ctx context.Context) error {
	var pending []*batch
	for _, l := range w.lanes {
		l.seal()
		pending = append(pending, l.unfinished()...)
	}
	for _, b := range pending {
		select {
		case <-b.done:
			if b.err != nil {
				return b.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// BreakerOpen reports whether ClickHouse is taken to be away; readiness
// depends on it.
func (w *Writer) BreakerOpen() bool { return w.breaker.State() == gobreaker.StateOpen }

// What an array and each of its buffers take besides their bytes: with few rows a message it is more than the rows.
const (
	arrayBytes  = 340
	bufferBytes = 208
)

// recordBytes estimates the memory that a record takes.
func recordBytes(rec arrow.Record) int64 {
	n := int64(0)
	for _, c := range rec.Columns() {
		n += dataBytes(c.Data())
	}
	return n
}

func dataBytes(d arrow.ArrayData) int64 {
	n := int64(arrayBytes)
	for _, b := range d.Buffers() {
		if b != nil {
			n += int64(b.Len()) + bufferBytes
		}
	}
	for _, c := range d.Children() {
		n += dataBytes(c)
	}
	return n
}

func now() time.Time { return time.Now() }
