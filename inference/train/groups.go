package train

import (
	"fmt"
	"maps"

	"profilestream/schemas"
)

// dimensions cut the rows into groups of customers: those that the features
// tell, and those of the dataset.
func (s *sample) dimensions(rows []int) map[string][]string {
	out := map[string][]string{"buyers": make([]string, len(rows)), "tenure": make([]string, len(rows))}
	for k, i := range rows {
		t, at := s.locate(i)
		orders := s.tables[t].Value(schemas.Life(schemas.OrdersTotal), at)
		switch {
		case orders > 1:
			out["buyers"][k] = "repeat"
		case orders == 1:
			out["buyers"][k] = "one-time"
		default:
			out["buyers"][k] = "none yet"
		}
		out["tenure"][k] = tenure(float64(s.cutoff[i]) - s.tables[t].Value(schemas.Life(schemas.FirstSeen), at))
	}
	for name, of := range maps.All(s.groups) {
		out[name] = pick(of, rows)
	}
	return out
}

// tenure names the time since the first event, in ms. The names sort by time.
func tenure(millis float64) string {
	switch days := millis / dayMillis; {
	case days < 30:
		return "000-029 days"
	case days < 90:
		return "030-089 days"
	case days < 180:
		return "090-179 days"
	}
	return "180 days and more"
}

func checkGroups(groups map[string][]string, rows int) error {
	for name, of := range groups {
		if len(of) != rows {
			return fmt.Errorf("training: %d rows have %d groups of %q", rows, len(of), name)
		}
	}
	return nil
}
