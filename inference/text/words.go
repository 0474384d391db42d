package text

// Version names the rendering; a bundle trained with another does not fit.
const Version = "text/1"

const (
	dayMillis = 24 * 60 * 60 * 1000
	micros    = 1_000_000
)

// step is a bucket: values below its limit, and not below the one before, are its word.
type step struct {
	below int64
	word  string
}

// Buckets grow by factors of three to four: a silent user leaves one for the next only
// when the silence has multiplied.
var (
	orderCounts = []step{{1, "no orders"}, {2, "one"}, {4, "few"}, {10, "many"}}
	orderSizes  = []step{{10 * micros, "tiny"}, {40 * micros, "small"}, {160 * micros, "medium"}, {640 * micros, "large"}}
	orderAges   = []step{{8, "last this week"}, {31, "last this month"}, {91, "last this season"}, {366, "last this year"}}
	silences    = []step{{8, ""}, {31, "quiet for weeks"}, {91, "quiet for months"}, {366, "quiet for long"}}
	visits      = []step{{3, "visits rarely"}, {10, "visits sometimes"}, {30, "visits often"}}
)

// Words beyond the last bucket of each scale.
const (
	veryMany  = "very many"
	huge      = "huge"
	longAgo   = "last long ago"
	gone      = "gone"
	daily     = "visits daily"
	newcomer  = "new"
	returns   = "some returns"
	returning = "mostly returns"
)

// newcomerDays is how long a user counts as new.
const newcomerDays = 31

func bucket(v int64, steps []step, beyond string) string {
	for _, s := range steps {
		if v < s.below {
			return s.word
		}
	}
	return beyond
}

// status puts the numbers of a window into words, such as
// "many medium orders, last this month, visits often".
func status(w *Window) []string {
	var out []string
	if w.DaysSinceFirstEvent < newcomerDays {
		out = append(out, newcomer)
	}
	count := bucket(w.Orders, orderCounts, veryMany)
	if w.Orders < 1 {
		out = append(out, count)
	} else {
		noun := " orders"
		if w.Orders == 1 {
			noun = " order"
		}
		size := bucket(w.RevenueMicros/w.Orders, orderSizes, huge)
		out = append(out, count+" "+size+noun, bucket(w.DaysSinceLastOrder, orderAges, longAgo))
	}
	switch {
	case w.Refunds365 > 0 && 2*w.Refunds365 >= w.Orders365:
		out = append(out, returning)
	case w.Refunds365 > 0:
		out = append(out, returns)
	}
	if quiet := bucket(w.DaysSinceLastEvent, silences, gone); quiet != "" {
		return append(out, quiet)
	}
	return append(out, bucket(w.ActiveDays90, visits, daily))
}
