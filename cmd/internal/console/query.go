package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"

	ch "github.com/ClickHouse/clickhouse-go/v2"
)

// param binds a value to {name:Type} of a statement.
func param(name string, value any) any { return ch.Named(name, value) }

// ask runs a named query of schemas and appends its rows to dest, a pointer to
// a slice of structs with `ch` tags.
func (c *Console) ask(ctx context.Context, dest any, name string, params ...any) error {
	sql, ok := c.queries[name]
	if !ok {
		return fmt.Errorf("there is no query %s", name)
	}
	return named(name, c.o.Reader.Select(ctx, dest, sql, params...))
}

// record is a row whose columns are known to ClickHouse only: plain Go values
// by column name, nil for NULL.
type record map[string]any

// askRecord is the first row of a named query, nil without one.
func (c *Console) askRecord(ctx context.Context, name string, params ...any) (record, error) {
	rows, err := c.o.Reader.Query(ctx, c.queries[name], params...)
	if err != nil {
		return nil, named(name, err)
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, named(name, rows.Err())
	}
	columns := rows.ColumnTypes()
	into := make([]any, len(columns))
	for i, column := range columns {
		into[i] = reflect.New(column.ScanType()).Interface()
	}
	if err := rows.Scan(into...); err != nil {
		return nil, named(name, err)
	}
	r := record{}
	for i, column := range columns {
		r[column.Name()] = plain(into[i])
	}
	return r, nil
}

// plain follows the pointers of a scanned value.
func plain(v any) any {
	p := reflect.ValueOf(v)
	for p.Kind() == reflect.Pointer {
		if p.IsNil() {
			return nil
		}
		p = p.Elem()
	}
	return p.Interface()
}

// named says which question failed, and whether ClickHouse was there at all.
func named(name string, err error) error {
	var exception *ch.Exception
	var network net.Error
	var op *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exception) && exception.Code != timeoutExceeded:
		return fmt.Errorf("asking %s: %w", name, err)
	case exception != nil, errors.As(err, &network), errors.As(err, &op), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("asking %s: %w: %w", name, errAway, err)
	}
	return fmt.Errorf("asking %s: %w", name, err)
}

// Codes of ClickHouse's exceptions.
const (
	unknownTable    = 60
	timeoutExceeded = 159
	tableExists     = 57
)

// missing holds for a table or view that this ClickHouse does not have (yet).
func missing(err error) bool { return hasCode(err, unknownTable) }

func hasCode(err error, code int32) bool {
	var exception *ch.Exception
	return errors.As(err, &exception) && exception.Code == code
}

// kind is an error without the values of the statement, for a log.
func kind(err error) string {
	var exception *ch.Exception
	if errors.As(err, &exception) {
		return fmt.Sprintf("ClickHouse exception %d", exception.Code)
	}
	if errors.Is(err, errAway) {
		return errAway.Error()
	}
	return fmt.Sprintf("%T", err)
}
