package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"testing"
	"time"

	"profilestream/e2e/harness"
)

const (
	unseenDays = 150
	// silentDays is how many day rows after a last event are looked at: all are
	// due, and none of the next ones is until a week later.
	silentDays = 14
)

// unseen is a shop whose users no training has seen, scored by the real
// pipeline once for all tests that look at scores.
var unseen struct {
	once   sync.Once
	run    *run
	truth  map[string]latent
	bought map[string]string // category of most of each user's orders
}

// latent is what the simulator knows of a user and no event tells.
type latent struct {
	UserID     string     `json:"user_id"`
	Bot        bool       `json:"bot"`
	DroppedOut *time.Time `json:"dropped_out_at"`
	Spend90    float64    `json:"expected_spend_90d"`
	Need       string     `json:"need"`
	Interests  []struct {
		Category string
		Weight   float64
	}
}

// next is the probability that the user's next purchase is of a category: with a
// need it is of that six times of ten, else the interests decide.
func (l *latent) next(category string) float64 {
	w := 0.
	for _, i := range l.Interests {
		if i.Category == category {
			w = i.Weight
		}
	}
	switch l.Need {
	case "":
		return w
	case category:
		return .6 + .4*w
	}
	return .4 * w
}

// unseenShop runs a shop of another seed than the training's (1007) through the
// pipeline, three days beyond its end.
func unseenShop(t *testing.T) (*run, map[string]latent) {
	t.Helper()
	unseen.once.Do(func() {
		feed, dir := simulated(t, "--seed", "90210", "--users", size("E2E_SCORES_USERS", 500), "--days", fmt.Sprint(unseenDays),
			"--events", size("E2E_SCORES_EVENTS", 50_000), "--late", "0", "--poison", "0")
		r := newRun(t, "unseen")
		named := r.named(feed)
		r.kafka.Send(named.Clickstream)
		r.kafka.Send(named.Purchases)
		r.drain(shopStart.AddDate(0, 0, unseenDays+3))
		unseen.run, unseen.truth, unseen.bought = r, readTruth(t, dir), mostBought(t, feed)
	})
	if unseen.run == nil {
		t.Fatal("the unseen shop was not scored: see the first test that needed it")
	}
	return unseen.run, unseen.truth
}

// mostBought counts the orders of each user by the category of their first item.
func mostBought(t *testing.T, feed *harness.Feed) map[string]string {
	t.Helper()
	counts, most := map[[2]string]int{}, map[string]string{}
	for _, m := range feed.Purchases {
		var v struct {
			User  string `json:"user_id"`
			Type  string
			Items []struct{ Category string }
		}
		if json.Unmarshal(m.Value, &v) != nil || v.Type != "purchase" || len(v.Items) == 0 {
			continue
		}
		k := [2]string{v.User, v.Items[0].Category}
		if counts[k]++; counts[k] > counts[[2]string{v.User, most[v.User]}] {
			most[v.User] = k[1]
		}
	}
	return most
}

func readTruth(t *testing.T, dir string) map[string]latent {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "truth.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]latent{}
	for s := bufio.NewScanner(f); s.Scan(); {
		var l latent
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		out[l.UserID] = l
	}
	return out
}

// TestScoresOnUnseenUsers compares the scores in the tables with the latent
// truth of users unseen in training.
func TestScoresOnUnseenUsers(t *testing.T) {
	r, truth := unseenShop(t)
	var churn, recency, value, spend []float64
	var gone []bool
	for _, f := range r.engine.Rows(t, `SELECT user_id, churn_probability, days_since_last_order, value_expected
		FROM `+r.database()+".profiles_latest WHERE orders_total > 0") {
		u, ok := truth[f[0]]
		if !ok {
			t.Fatalf("profiles_latest has a user that is not in the truth")
		}
		if u.Bot {
			continue
		}
		expected := u.Spend90
		if u.DroppedOut != nil {
			expected = 0 // expected_spend_90d is of a user who is still active
		}
		churn, recency = append(churn, float(t, f[1])), append(recency, float(t, f[2]))
		value, spend = append(value, float(t, f[3])), append(spend, expected)
		gone = append(gone, u.DroppedOut != nil)
	}
	model, baseline, deviation := auc(churn, gone), auc(recency, gone), standardDeviation(churn)
	t.Logf("%d users with a purchase, %d of them dropped out: AUC of churn %.3f, of recency %.3f; standard deviation of churn %.3f",
		len(gone), count(gone), model, baseline, deviation)
	t.Logf("Spearman of value_expected with the latent spend of the next 90 days: %.3f", pearson(ranks(value), ranks(spend)))
	if n := count(gone); n < 50 || len(gone)-n < 50 {
		t.Fatalf("%d users dropped out and %d did not: too few of either to judge by", n, len(gone)-n)
	}
	if !(model > baseline) {
		t.Errorf("AUC of churn %.3f is not above recency's %.3f", model, baseline)
	}
	if !(deviation > .05) {
		t.Errorf("standard deviation of churn is %.3f, want above .05", deviation)
	}
	churnRisesInSilence(t, r, truth)
	interestsTellTheNextPurchase(t, r, truth)
}

// interestsTellTheNextPurchase compares the first interest with what the next
// purchase of a user who is still there will be, beside the category of most orders.
func interestsTellTheNextPurchase(t *testing.T, r *run, truth map[string]latent) {
	t.Helper()
	var model, bought []float64
	for _, f := range r.engine.Rows(t, "SELECT user_id, mapKeys(interests)[1] FROM "+r.database()+".profiles_latest WHERE orders_total > 0") {
		u := truth[f[0]]
		if u.Bot || u.DroppedOut != nil {
			continue
		}
		model, bought = append(model, u.next(f[1])), append(bought, u.next(unseen.bought[f[0]]))
	}
	if len(model) < 50 {
		t.Fatalf("%d users are too few to judge interests by", len(model))
	}
	t.Logf("the first interest is what %d users will buy next in %.3f of the cases, the category of most orders in %.3f", len(model), average(model), average(bought))
	// At this size a head learns from two hundred purchases: it must not lose what
	// counting orders knows, and be far ahead of guessing one of 13.
	if m := average(model); !(m > average(bought)-.05 && m > 1.3/13) {
		t.Errorf("interests tell the next purchase in %.3f of the cases, the category of most orders in %.3f", m, average(bought))
	}
}

// churnRisesInSilence follows the users who dropped out at least silentDays
// before the end, the same ones each day, over the day rows after their last event.
func churnRisesInSilence(t *testing.T, r *run, truth map[string]latent) {
	t.Helper()
	byUser := map[string]map[int64]float64{}
	for _, f := range r.engine.Rows(t, fmt.Sprintf(`SELECT d.user_id, d.days_since_last_event, d.churn_probability
		FROM %[1]s.profile_days d JOIN %[1]s.profiles_latest l ON d.user_id = l.user_id
		WHERE d.last_seen = l.last_seen AND d.orders_total > 0 AND d.days_since_last_event BETWEEN 1 AND %[2]d`, r.database(), silentDays)) {
		if u := truth[f[0]]; u.Bot || u.DroppedOut == nil {
			continue
		}
		if byUser[f[0]] == nil {
			byUser[f[0]] = map[int64]float64{}
		}
		byUser[f[0]][number(t, f[1])] = float(t, f[2])
	}
	mean, n := make([]float64, silentDays), 0
	for user, days := range byUser {
		if days[silentDays] == 0 {
			continue // dropped out too close to the end
		}
		if len(days) != silentDays {
			t.Fatalf("a user who dropped out has %d of %d silent day rows: %v", len(days), silentDays, truth[user].DroppedOut)
		}
		n++
		for k := range mean {
			mean[k] += days[int64(k+1)]
		}
	}
	for k := range mean {
		mean[k] /= float64(n)
	}
	t.Logf("mean churn of %d users, 1 to %d days after their last event: %.3f", n, silentDays, mean)
	if n < 50 {
		t.Fatalf("%d users are too few to judge by", n)
	}
	for k := 1; k < silentDays; k++ {
		if !(mean[k] > mean[k-1]) {
			t.Errorf("mean churn falls from %.5f to %.5f on silent day %d", mean[k-1], mean[k], k+1)
		}
	}
}

// auc is the probability that one of the positives has a larger score than one
// of the others, ties counting half.
func auc(score []float64, positive []bool) float64 {
	sum, n := 0., count(positive)
	for i, r := range ranks(score) {
		if positive[i] {
			sum += r
		}
	}
	return (sum - float64(n)*float64(n+1)/2) / (float64(n) * float64(len(score)-n))
}

// ranks gives each value its rank from 1, equal values the mean of theirs.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return x[order[a]] < x[order[b]] })
	out := make([]float64, len(x))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && x[order[to]] == x[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return out
}

func pearson(x, y []float64) float64 {
	mx, my := average(x), average(y)
	var xy, xx, yy float64
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
		yy += (y[i] - my) * (y[i] - my)
	}
	return xy / math.Sqrt(xx*yy)
}

func average(x []float64) float64 {
	sum := 0.
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

func standardDeviation(x []float64) float64 {
	m, sum := average(x), 0.
	for _, v := range x {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum / float64(len(x)))
}

func count(b []bool) (n int) {
	for _, v := range b {
		if v {
			n++
		}
	}
	return n
}
