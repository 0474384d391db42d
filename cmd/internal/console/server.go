package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"profilestream/schemas"
)

// QueryLimit bounds what ClickHouse does for one question.
const QueryLimit = 20 * time.Second

// Options say what the console shows and to whom.
type Options struct {
	Reader driver.Conn // of the run's database; see clickhouse.OpenReader
	// Writer saves segments as views; nil: saving is off.
	Writer   driver.Conn
	Database string // of the run, for what it tells
	Run      string
	Currency string // ISO 4217 code of the amounts
	// Token has to be known by whoever asks; empty: everybody who can reach it.
	Token string
	// Lag asks how far each stage is behind; nil: not known.
	Lag func(context.Context) ([]StageLag, error)
	Log *slog.Logger
}

// StageLag is how many records of its topics a stage has not worked off.
type StageLag struct {
	Stage, Topic string
	Partitions   int
	Behind       int64
}

// Console answers the requests of the pages.
type Console struct {
	o       Options
	queries map[string]string
	pages   *pages
	assets  *assets
	session string // of this process: what a cookie has to hold
}

// New prepares the pages; it does not ask ClickHouse.
func New(o Options) (*Console, error) {
	c := &Console{o: o, queries: map[string]string{}, session: newSession()}
	if o.Reader == nil || o.Log == nil {
		return nil, errors.New("the console needs a reader and a log")
	}
	named, err := schemas.Queries()
	if err != nil {
		return nil, err
	}
	for _, q := range named {
		c.queries[q.Name] = q.SQL
	}
	if c.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	c.pages, err = parsePages(c.assets, o.Currency)
	return c, err
}

// Handler answers every path of the console.
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.page(c.overview))
	mux.HandleFunc("GET /customers", c.page(c.customers))
	mux.HandleFunc("GET /customers/suggest", c.page(c.suggest))
	mux.HandleFunc("GET /customer", c.page(c.customer))
	mux.HandleFunc("GET /customer/similar", c.page(c.similar))
	mux.HandleFunc("GET /segments", c.page(c.segments))
	mux.HandleFunc("GET /segments/size", c.page(c.segmentSize))
	mux.HandleFunc("GET /segments/export", c.page(c.export))
	mux.HandleFunc("POST /segments/save", c.page(c.save))
	mux.HandleFunc("GET /health", c.page(c.health))
	mux.HandleFunc("GET /login", c.page(c.loginPage))
	mux.HandleFunc("POST /login", c.page(c.login))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("GET /assets/", c.assets)
	mux.HandleFunc("/", c.page(func(http.ResponseWriter, *http.Request) error { return errNotFound }))
	return headers(http.NewCrossOriginProtection().Handler(c.guard(mux)))
}

// headers closes what a browser would otherwise leave open. Addresses hold user
// ids and segments, so no other site is told where a reader came from.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// Errors that a page answers with a status of its own.
var (
	errNotFound = errors.New("there is no such page")
	errAway     = errors.New("ClickHouse does not answer")
)

// wrongInput is what a reader of the page can mend.
type wrongInput struct{ words string }

func (e wrongInput) Error() string { return e.words }

// page runs a handler, bounded in time, and shows its error.
func (c *Console) page(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), QueryLimit+5*time.Second)
		defer cancel()
		err := handle(w, r.WithContext(ctx))
		if err == nil || errors.Is(err, errSent) {
			return
		}
		status, words := http.StatusInternalServerError, "Something went wrong; the log of the console says what."
		var wrong wrongInput
		switch {
		case errors.Is(err, errNotFound):
			status, words = http.StatusNotFound, "There is no such page."
		case errors.As(err, &wrong):
			status, words = http.StatusBadRequest, wrong.words
		case errors.Is(err, errAway):
			status, words = http.StatusServiceUnavailable, "ClickHouse does not answer, or took too long. Try again in a moment; profilectl doctor says more."
		}
		c.fail(w, r, status, words, err)
	}
}

func (c *Console) fail(w http.ResponseWriter, r *http.Request, status int, words string, err error) {
	if status >= http.StatusInternalServerError && r.Context().Err() == nil {
		c.o.Log.Warn("a page failed", "page", r.Pattern, "cause", kind(err))
		c.o.Log.Debug("a page failed, in full", "page", r.Pattern, "error", err.Error())
	}
	if e := c.render(w, r, status, "error", "Not shown", struct {
		Status int
		Words  string
	}{status, words}); e != nil {
		c.o.Log.Warn("an error could not be shown", "error", e.Error())
	}
}
