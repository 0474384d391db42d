-- +goose Up
-- Summaries of the history: each is filled anew in one step, so that a reader sees the old one or the new one. The first
-- is some minutes after its last filling has ended, each of the others when the one before it has: one at a time, since
-- together they need more memory than a small server has, and a bounded part of the server's time.
CREATE MATERIALIZED VIEW IF NOT EXISTS activity_days
REFRESH AFTER 10 MINUTE RANDOMIZE FOR 1 MINUTE
(
    `day` Date COMMENT 'UTC day',
    `active` Int64 COMMENT 'Customers with an event on the day',
    `viewers` Int64 COMMENT 'Of these viewed a product',
    `carters` Int64 COMMENT 'Of the viewers put something into the cart',
    `buyers` Int64 COMMENT 'Of the carters bought',
    `buyers_in_all` Int64 COMMENT 'Customers who bought, viewed or not',
    `new_buyers` Int64 COMMENT 'Of these for the first time',
    `orders` Int64 COMMENT 'Purchases of the day',
    `revenue` Decimal(18, 6) COMMENT 'Purchases minus refunds of the day',
    `refreshed_at` DateTime('UTC') COMMENT 'When the summary was filled'
)
ENGINE = MergeTree ORDER BY day
COMMENT 'What customers did by day. Read it through funnel_days.'
AS SELECT toDate(as_of) AS day, countIf(toDate(last_seen) = day) AS active, countIf(product_views_24h > 0) AS viewers,
    countIf(product_views_24h > 0 AND cart_adds_24h > 0) AS carters,
    countIf(product_views_24h > 0 AND cart_adds_24h > 0 AND orders_24h > 0) AS buyers,
    countIf(orders_24h > 0) AS buyers_in_all, countIf(orders_24h > 0 AND orders_total = orders_24h) AS new_buyers,
    sum(orders_24h) AS orders, sum(revenue_24h) AS revenue, now('UTC') AS refreshed_at
FROM profile_history FINAL
GROUP BY day
SETTINGS max_threads = 2, do_not_merge_across_partitions_select_final = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS model_weeks
REFRESH DEPENDS ON activity_days
(
    `week` Date COMMENT 'Monday of the week',
    `model_version` LowCardinality(String) COMMENT 'Bundle, precision, runtime and instruction set',
    `rows` Int64 COMMENT 'Day rows scored',
    `churn` Float64 COMMENT 'Sum of their churn probabilities',
    `squares` Float64 COMMENT 'Sum of the squares of these',
    `low` Int64 COMMENT 'Rows of the low churn band',
    `medium` Int64 COMMENT 'Rows of the medium churn band',
    `high` Int64 COMMENT 'Rows of the high churn band',
    `expected` Float64 COMMENT 'Sum of the expected spends',
    `degraded` Int64 COMMENT 'Rows scored without text',
    `refreshed_at` DateTime('UTC') COMMENT 'When the summary was filled'
)
ENGINE = MergeTree ORDER BY (week, model_version)
COMMENT 'What each model said, by week. Read it through model_quality_weeks.'
AS SELECT toMonday(as_of) AS week, model_version, count() AS rows, sum(toFloat64(churn_probability)) AS churn, sum(pow(toFloat64(churn_probability), 2)) AS squares,
    countIf(churn_band = 'low') AS low, countIf(churn_band = 'medium') AS medium, countIf(churn_band = 'high') AS high,
    sum(toFloat64(value_expected)) AS expected, countIf(profile_history.degraded) AS degraded, now('UTC') AS refreshed_at
FROM profile_history FINAL
GROUP BY week, model_version
SETTINGS max_threads = 2, do_not_merge_across_partitions_select_final = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS cohort_months
REFRESH DEPENDS ON model_weeks
(
    `cohort` Date COMMENT 'Month in which the customers were first seen',
    `month` Date COMMENT 'Month of what they did',
    `customers` Int64 COMMENT 'Customers of the cohort with a due day in the month; silent ones have some in each month for 371 days',
    `active` Int64 COMMENT 'Of these with an event in the month',
    `buyers` Int64 COMMENT 'Of these with a purchase in the month',
    `orders` Int64 COMMENT 'Their purchases',
    `revenue` Decimal(18, 6) COMMENT 'Purchases minus refunds',
    `refreshed_at` DateTime('UTC') COMMENT 'When the summary was filled'
)
ENGINE = MergeTree ORDER BY (cohort, month)
COMMENT 'What each cohort did by month. Read it through cohort_retention.'
AS SELECT cohort, month, count() AS customers, countIf(seen) AS active, countIf(bought > 0) AS buyers, sum(bought) AS orders, sum(spent) AS revenue, now('UTC') AS refreshed_at
FROM
(
    SELECT toStartOfMonth(as_of) AS month, toStartOfMonth(min(first_seen)) AS cohort, max(toStartOfMonth(last_seen)) = month AS seen,
        sum(orders_24h) AS bought, sum(revenue_24h) AS spent
    FROM profile_history FINAL
    GROUP BY user_id, month
)
GROUP BY cohort, month
SETTINGS max_threads = 2, do_not_merge_across_partitions_select_final = 1, max_bytes_before_external_group_by = 200000000;

CREATE MATERIALIZED VIEW IF NOT EXISTS band_days
REFRESH DEPENDS ON cohort_months
(
    `day` Date COMMENT 'UTC day',
    `churn_band` LowCardinality(String) COMMENT 'At the end of the day',
    `value_band` LowCardinality(String) COMMENT 'At the end of the day',
    `customers` Int64 COMMENT 'All customers seen up to the day, by their newest row up to it',
    `expected` Float64 COMMENT 'Their expected spend in the next 90 days',
    `at_risk` Float64 COMMENT 'The same, times the probability of churn',
    `refreshed_at` DateTime('UTC') COMMENT 'When the summary was filled'
)
ENGINE = MergeTree ORDER BY (day, churn_band, value_band)
COMMENT 'Customers and money by day and band. Read it through revenue_at_risk.'
AS WITH
    changes AS
    (
        SELECT toDate(as_of) AS day, churn_band AS c, value_band AS v, toFloat64(value_expected) AS e, e * churn_probability AS r,
            lagInFrame(c, 1, '') OVER w AS was_c, lagInFrame(v, 1, '') OVER w AS was_v, lagInFrame(e) OVER w AS was_e, lagInFrame(r) OVER w AS was_r
        FROM profile_history FINAL
        WINDOW w AS (PARTITION BY user_id ORDER BY as_of ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    ),
    steps AS
    (
        SELECT change.1 AS c, change.2 AS v, day, sum(change.3) AS n, sum(change.4) AS e, sum(change.5) AS r
        FROM (SELECT day, arrayJoin([(c, v, 1, e, r), (was_c, was_v, -1, -was_e, -was_r)]) AS change FROM changes)
        WHERE c != ''
        GROUP BY c, v, day
    ),
    bands AS
    (
        SELECT c, v, sumMap([day], [n]) AS ns, sumMap([day], [e]) AS es, sumMap([day], [r]) AS rs,
            min(min(day)) OVER () AS first_day, max(max(day)) OVER () AS last_day
        FROM steps
        GROUP BY c, v
    )
SELECT total.1 AS day, c AS churn_band, v AS value_band, total.2 AS customers, total.3 AS expected, total.4 AS at_risk, now('UTC') AS refreshed_at
FROM
(
    SELECT c, v, arrayMap(i -> first_day + i, range(toUInt32(last_day - first_day + 1))) AS days,
        arrayZip(days,
            arrayCumSum(arrayMap(d -> arrayElement(ns.2, indexOf(ns.1, d)), days)),
            arrayCumSum(arrayMap(d -> arrayElement(es.2, indexOf(es.1, d)), days)),
            arrayCumSum(arrayMap(d -> arrayElement(rs.2, indexOf(rs.1, d)), days))) AS totals
    FROM bands
)
ARRAY JOIN totals AS total
WHERE customers > 0
SETTINGS max_threads = 2, max_bytes_before_external_sort = 100000000, max_bytes_before_external_group_by = 200000000;

CREATE MATERIALIZED VIEW IF NOT EXISTS band_weeks
REFRESH DEPENDS ON band_days
(
    `week` Date COMMENT 'Monday of the week at whose end the customers are in the new bands',
    `was_churn` LowCardinality(String) COMMENT 'Churn band at the end of the week before; empty if not yet seen then',
    `churn_band` LowCardinality(String) COMMENT 'Churn band at the end of the week',
    `was_value` LowCardinality(String) COMMENT 'Value band at the end of the week before; empty if not yet seen then',
    `value_band` LowCardinality(String) COMMENT 'Value band at the end of the week',
    `customers` Int64 COMMENT 'Customers with a due day in the week; silent ones have one each week for 371 days',
    `expected` Float64 COMMENT 'Their expected spend in the next 90 days, at the end of the week',
    `refreshed_at` DateTime('UTC') COMMENT 'When the summary was filled'
)
ENGINE = MergeTree ORDER BY (week, was_churn, churn_band, was_value, value_band)
COMMENT 'From which bands to which customers went, by week. Read it through band_movements.'
AS SELECT toDate(number * 7 + 4) AS week, was.1 AS was_churn, c AS churn_band, was.2 AS was_value, v AS value_band,
    count() AS customers, sum(toFloat64(e)) AS expected, now('UTC') AS refreshed_at
FROM
(
    SELECT intDiv(toInt32(toMonday(as_of)), 7) AS number, as_of, toString(churn_band) AS c, toString(value_band) AS v, value_expected AS e,
        argMax((c, v), as_of) OVER (PARTITION BY user_id ORDER BY number RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING) AS was,
        max(as_of) OVER (PARTITION BY user_id ORDER BY number RANGE BETWEEN CURRENT ROW AND CURRENT ROW) AS newest
    FROM profile_history FINAL
)
WHERE as_of = newest
GROUP BY week, was_churn, churn_band, was_value, value_band
SETTINGS max_threads = 2, max_bytes_before_external_sort = 100000000, max_bytes_before_external_group_by = 200000000;

-- +goose Down
DROP VIEW IF EXISTS band_weeks;

DROP VIEW IF EXISTS band_days;

DROP VIEW IF EXISTS cohort_months;

DROP VIEW IF EXISTS model_weeks;

DROP VIEW IF EXISTS activity_days;
