package watch

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Quality is how good the scores of a week turned out to be.
type Quality struct {
	Week            time.Time // its Monday
	Version         string
	HorizonDays     int
	Rows, Churned   uint64
	MeanProbability float64
	AUC             float64 // NaN where all or none churned
	Brier, ECE      float64
	MeanValue       float64
	MeanSpent       float64
}

// defaultHorizonDays is the contract's, for models that do not tell theirs.
const defaultHorizonDays = 90

// ripe is a week of a model version that is not judged yet.
type ripe struct {
	week    time.Time
	version string
	horizon int
}

// ripen lists the weeks whose labels cannot change any more and that are not judged
// yet: pipeline time has passed the week's end by horizon and lateness in every log
// partition that has rows. A partition has passed a day when it has sent one of its
// day rows.
func (w *Watcher) ripen(ctx context.Context) ([]ripe, error) {
	rows, err := w.conn.Query(ctx, `SELECT toMonday(as_of) AS week, h.model_version,
			(SELECT min(passed) FROM (SELECT max(as_of) AS passed FROM `+w.table("profile_history")+` GROUP BY log_partition)) AS passed
		FROM `+w.table("profile_history")+` AS h
		WHERE (week, h.model_version) NOT IN (SELECT week, model_version FROM `+w.table("model_quality_rows")+`)
		GROUP BY week, h.model_version ORDER BY week, h.model_version`)
	if err != nil {
		return nil, fmt.Errorf("looking for weeks to judge: %w", err)
	}
	defer rows.Close()
	var out []ripe
	for rows.Next() {
		var r ripe
		var passed time.Time
		if err := rows.Scan(&r.week, &r.version, &passed); err != nil {
			return nil, fmt.Errorf("looking for weeks to judge: %w", err)
		}
		r.horizon = defaultHorizonDays
		if ref := w.reference(r.version); ref != nil {
			r.horizon = ref.HorizonDays
		}
		if end := r.week.AddDate(0, 0, 7+r.horizon).Add(w.lateness); !passed.Before(end.Add(-time.Millisecond)) {
			out = append(out, r)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("looking for weeks to judge: %w", err)
	}
	return out, nil
}

// judge compares the scores of a week with what came of them. A customer counts
// once, by the newest day row of the week. A customer's whole-life totals at the end
// of the horizon are those of the newest day row up to then, for each day with an
// event has one; it is the scored row itself where nothing came after it.
func (w *Watcher) judge(ctx context.Context, r ripe) (Quality, error) {
	q := Quality{Week: r.week, Version: r.version, HorizonDays: r.horizon}
	history := w.table("profile_history")
	var auc *float64
	err := w.conn.QueryRow(ctx, fmt.Sprintf(`
		SELECT count(), sum(churned), avg(p), if(sum(churned) IN (0, count()), NULL, arrayROCAUC(groupArray(p), groupArray(churned))),
			avg(pow(p - churned, 2)), arraySum(x -> abs(x), sumForEach(arrayMap(b -> if(b = least(9, floor(p * 10)), p - churned, 0), range(10)))) / count(),
			avg(v), avg(spent)
		FROM (
			SELECT toFloat64(s.churn_probability) AS p, toFloat64(s.value_expected) AS v,
				toUInt8(l.orders_total <= s.orders_total) AS churned, greatest(0, toFloat64(l.revenue_total) - toFloat64(s.revenue_total)) AS spent
			FROM (
				SELECT user_id, as_of, as_of + toIntervalDay(%[2]d) AS until, orders_total, revenue_total, churn_probability, value_expected
				FROM %[1]s FINAL WHERE model_version = ? AND as_of >= ? AND as_of < ? ORDER BY user_id, as_of DESC LIMIT 1 BY user_id
			) AS s
			ASOF INNER JOIN (
				SELECT user_id, as_of, orders_total, revenue_total FROM %[1]s FINAL WHERE as_of >= ? AND as_of < ?
			) AS l ON s.user_id = l.user_id AND s.until >= l.as_of
		) SETTINGS do_not_merge_across_partitions_select_final = 1`, history, r.horizon),
		r.version, instant(r.week), instant(r.week.AddDate(0, 0, 7)), instant(r.week), instant(r.week.AddDate(0, 0, 7+r.horizon))).
		Scan(&q.Rows, &q.Churned, &q.MeanProbability, &auc, &q.Brier, &q.ECE, &q.MeanValue, &q.MeanSpent)
	if err != nil {
		return q, fmt.Errorf("judging the week of %s of model %s: %w", r.week.Format(time.DateOnly), r.version, err)
	}
	q.AUC = math.NaN()
	if auc != nil {
		q.AUC = *auc
	}
	return q, nil
}

// instant is a time to compare a DateTime64 with: compared with the DateTime that a
// bound time becomes, ClickHouse skips the month of the upper bound.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// keepQuality writes a row of model_quality_rows.
func (w *Watcher) keepQuality(ctx context.Context, q *Quality) error {
	var auc *float64
	if !math.IsNaN(q.AUC) {
		auc = &q.AUC
	}
	batch, err := w.conn.PrepareBatch(ctx, "INSERT INTO "+w.table("model_quality_rows")+" (week, model_version, horizon_days, rows, churned, mean_probability, roc_auc, brier, ece, mean_value, mean_spent)")
	if err != nil {
		return fmt.Errorf("writing quality: %w", err)
	}
	defer func() { _ = batch.Close() }()
	if err := batch.Append(q.Week, q.Version, uint16(q.HorizonDays), q.Rows, q.Churned, q.MeanProbability, auc, q.Brier, q.ECE, q.MeanValue, q.MeanSpent); err != nil {
		return fmt.Errorf("writing quality: %w", err)
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("writing quality: %w", err)
	}
	return nil
}
