package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"profilestream/schemas"
)

// Tables that are compared.
const (
	history  = "profile_history"
	profiles = "profiles"
)

// side is one run's tables.
type side struct {
	Run
	types  map[string]string // of the feature columns
	newest time.Time         // as_of of the newest day row
	// settings are the settings behind each config_version that a sink has
	// written down.
	settings map[string]map[string]string
	versions map[string]bool // every config_version of the day rows
}

func openSide(ctx context.Context, conn driver.Conn, r Run) (*side, error) {
	s := &side{Run: r, types: map[string]string{}, settings: map[string]map[string]string{}, versions: map[string]bool{}}
	rows, err := conn.Query(ctx, "SELECT table, name, type FROM system.columns WHERE database = ? AND table IN (?, ?)", r.Database, history, profiles)
	if err != nil {
		return nil, err
	}
	tables := map[string]bool{}
	err = each(rows, func() error {
		var table, name, typ string
		err := rows.Scan(&table, &name, &typ)
		tables[table] = true
		if table == history && !slices.Contains(notFeatures, name) {
			s.types[name] = typ
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(tables) != 2 {
		return nil, fmt.Errorf("run %s: database %s has no tables %s and %s", r.Name, r.Database, profiles, history)
	}
	if err := conn.QueryRow(ctx, "SELECT max(as_of) FROM "+s.table(history)).Scan(&s.newest); err != nil {
		return nil, err
	}
	return s, s.readSettings(ctx, conn)
}

// notFeatures are the columns of profile_history around the features.
var notFeatures = schemas.RowFrame()

// readSettings reads the settings behind the configuration versions. Tables of
// an older schema have none written down.
func (s *side) readSettings(ctx context.Context, conn driver.Conn) error {
	rows, err := conn.Query(ctx, "SELECT DISTINCT toString(config_version) FROM "+s.table(history))
	if err != nil {
		return err
	}
	err = each(rows, func() error {
		var version string
		err := rows.Scan(&version)
		s.versions[version] = true
		return err
	})
	if err != nil {
		return err
	}
	var there uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = ? AND name = 'configurations'", s.Database).Scan(&there); err != nil || there == 0 {
		return err
	}
	rows, err = conn.Query(ctx, "SELECT config_version, key, value FROM "+s.table("configurations")+" FINAL")
	if err != nil {
		return err
	}
	return each(rows, func() error {
		var version, key, value string
		err := rows.Scan(&version, &key, &value)
		if s.settings[version] == nil {
			s.settings[version] = map[string]string{}
		}
		s.settings[version][key] = value
		return err
	})
}

func (s *side) table(name string) string {
	return schemas.QuoteIdentifier(s.Database) + "." + schemas.QuoteIdentifier(name)
}

// shared lists the feature columns that both sides have with the same type, and
// describes the others.
func shared(a, b *side) (both, differ []string) {
	for name, typ := range a.types {
		switch other, ok := b.types[name]; {
		case !ok:
			differ = append(differ, fmt.Sprintf("%s is in run %s only", name, a.Name))
		case other != typ:
			differ = append(differ, fmt.Sprintf("%s is %s in run %s, %s in run %s", name, typ, a.Name, other, b.Name))
		default:
			both = append(both, name)
		}
	}
	for name := range b.types {
		if _, ok := a.types[name]; !ok {
			differ = append(differ, fmt.Sprintf("%s is in run %s only", name, b.Name))
		}
	}
	slices.Sort(both)
	slices.Sort(differ)
	return both, differ
}

// each calls f for every row and closes the result.
func each(rows driver.Rows, f func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := f(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// present renders a feature column so that NULL is a value of its own, which no
// feature takes.
func (s *side) present(name string) string {
	q, typ := schemas.QuoteIdentifier(name), s.types[name]
	if !strings.HasPrefix(typ, "Nullable(") {
		return q
	}
	if strings.Contains(typ, "DateTime64") {
		return "ifNull(" + q + ", toDateTime64(0, 3, 'UTC'))"
	}
	return "ifNull(" + q + ", -1)"
}
