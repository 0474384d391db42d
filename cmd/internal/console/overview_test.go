package console

import (
	"testing"
	"time"
)

// TestAWeekIsComparedWithinTheTrend: the newest day row is compared with the one
// seven days before it, by band and in money.
func TestAWeekIsComparedWithinTheTrend(t *testing.T) {
	tr := &trend{Customers: map[string][]float64{}}
	for i := range 8 {
		tr.Days = append(tr.Days, time.Unix(0, 0).AddDate(0, 0, i))
		tr.AtRisk = append(tr.AtRisk, float64(100+10*i))
		for _, b := range churnBands {
			tr.Customers[b] = append(tr.Customers[b], 10)
		}
	}
	tr.Customers["high"] = []float64{0, 1, 1, 1, 1, 1, 1, 5}
	w := tr.week()
	for _, c := range []struct {
		got  *move
		want string
	}{{w.Customers, "+25.0 % in a week"}, {w.High, "5 more in a week"}, {w.AtRisk, "+70.0 % in a week"}} {
		if c.got.String() != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	tr.Days = tr.Days[:7]
	if w := tr.week(); w.Customers != nil || w.High != nil || w.AtRisk != nil {
		t.Errorf("seven days are compared: %+v", w)
	}
}
