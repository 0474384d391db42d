package queries

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"profilestream/schemas"
)

// DB is a database behind ClickHouse's HTTP interface.
type DB struct {
	Addr string // host:port
	Name string
}

// Answer is what a query returned and what it cost.
type Answer struct {
	Columns   []string
	Rows      [][]any
	Seconds   float64 // as a client sees it
	RowsRead  int64
	BytesRead int64
}

// Ask runs a named query with the given values of its parameters; a parameter
// that is not among them has its example's.
func (d DB) Ask(ctx context.Context, q schemas.Query, values map[string]string) (Answer, error) {
	params := url.Values{}
	for _, p := range q.Params {
		value, ok := values[p.Name]
		if !ok {
			value = p.Example
		}
		params.Set("param_"+p.Name, value)
	}
	start := time.Now()
	body, err := d.send(ctx, q.SQL+"\nFORMAT JSONCompact", params)
	a := Answer{Seconds: time.Since(start).Seconds()}
	if err != nil {
		return a, fmt.Errorf("asking %s: %w", q.Name, err)
	}
	var reply struct {
		Meta       []struct{ Name string }
		Data       [][]any
		Statistics struct {
			RowsRead  int64 `json:"rows_read"`
			BytesRead int64 `json:"bytes_read"`
		}
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return a, fmt.Errorf("reading the answer to %s: %w", q.Name, err)
	}
	for _, m := range reply.Meta {
		a.Columns = append(a.Columns, m.Name)
	}
	a.Rows, a.RowsRead, a.BytesRead = reply.Data, reply.Statistics.RowsRead, reply.Statistics.BytesRead
	return a, nil
}

// Do runs a statement that returns nothing.
func (d DB) Do(ctx context.Context, statement string) error {
	_, err := d.send(ctx, statement, url.Values{})
	return err
}

// Text returns the answer to a statement in one of ClickHouse's formats.
func (d DB) Text(ctx context.Context, statement, format string) ([]byte, error) {
	return d.send(ctx, statement, url.Values{"default_format": {format}, "output_format_pretty_row_numbers": {"0"}})
}

func (d DB) send(ctx context.Context, statement string, params url.Values) ([]byte, error) {
	params.Set("database", d.Name)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.Addr+"/?"+params.Encode(), strings.NewReader(statement))
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %s", res.StatusCode, body)
	}
	return body, err
}
