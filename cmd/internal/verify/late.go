package verify

import (
	"context"
	"fmt"
	"time"
)

// lateEvent is the earliest event of a user that is late in one run alone.
type lateEvent struct {
	millis    int64
	topic     string
	partition int32
	offset    int64
	late      string // name of the run that found it late
	other     string
}

func (e lateEvent) words() string {
	return fmt.Sprintf("the event of %s at %s[%d]@%d is late in run %s, not in run %s",
		words(time.UnixMilli(e.millis)), e.topic, e.partition, e.offset, e.late, e.other)
}

// readLate reads, once, the users with events that are late in one run alone.
func (v *verification) readLate(ctx context.Context) error {
	if v.late != nil {
		return nil
	}
	v.late = map[string]lateEvent{}
	v.Progress("reading late events", 0, 2)
	for i, s := range []struct{ late, other *side }{{v.a, v.b}, {v.b, v.a}} {
		if err := v.lateIn(ctx, s.late, s.other); err != nil {
			return fmt.Errorf("late events of run %s: %w", s.late.Name, err)
		}
		v.Progress("reading late events", i+1, 2)
	}
	return nil
}

// lateIn reads the earliest event of each user that is late in one run and not
// in the other, by the source position.
func (v *verification) lateIn(ctx context.Context, late, other *side) error {
	const position = "source_topic, source_partition, source_offset"
	rows, err := v.conn.Query(ctx, fmt.Sprintf(`SELECT user, min(ms), argMin(toString(source_topic), ms), argMin(source_partition, ms), argMin(source_offset, ms) FROM (
			SELECT %[1]s, JSONExtractString(value, 'user_id') AS user, if(JSONType(value, 'ts') = 'String',
				toUnixTimestamp64Milli(parseDateTime64BestEffortOrZero(JSONExtractString(value, 'ts'), 3, 'UTC')), JSONExtractInt(value, 'ts')) AS ms
			FROM %[2]s FINAL WHERE (%[1]s) NOT IN (SELECT %[1]s FROM %[3]s FINAL))
		GROUP BY user`, position, late.table("late_event_rows"), other.table("late_event_rows")))
	if err != nil {
		return err
	}
	return each(rows, func() error {
		e := lateEvent{late: late.Name, other: other.Name}
		var user string
		if err := rows.Scan(&user, &e.millis, &e.topic, &e.partition, &e.offset); err != nil {
			return err
		}
		if old, ok := v.late[user]; !ok || e.millis < old.millis {
			v.late[user] = e
		}
		return nil
	})
}
