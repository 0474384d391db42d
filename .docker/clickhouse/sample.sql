-- A thousand made-up customers, 28 days of history and a few diverted records, for trying the dashboards and for the
-- tests of their queries. Every value is a function of the customer's number.

INSERT INTO profilestream.profiles
    (user_id, as_of, row_version, trigger, product_views_24h, cart_adds_24h, orders_24h, product_views_7d, cart_adds_7d, orders_7d,
     product_views_90d, cart_adds_90d, product_views_365d, cart_adds_365d,
     page_views_30d, product_views_30d, cart_adds_30d, orders_30d, orders_90d, orders_365d,
     revenue_30d, revenue_90d, revenue_365d, active_days_7d, active_days_30d, sessions_30d, first_seen, last_seen, last_order_at,
     orders_total, revenue_total, events_total, days_since_last_event, days_since_last_order, embedding,
     churn_probability, churn_band, value_expected, value_band, interests, sentiment, reasons, degraded, model_version, config_version,
     log_partition, log_offset, kafka_time, scored_at)
WITH
    cityHash64(number) % 1000 / 1000 AS r,
    if(number % 3 = 0, 45 + number % 300, number % 40) AS silent,
    toDateTime64('2026-03-01 12:00:00', 3, 'UTC') AS now,
    least(0.98, 0.05 + silent / 200 + r * 0.3) AS churn,
    1 + number % 17 AS orders,
    ['books', 'garden', 'kitchen', 'toys', 'clothes'] AS names
SELECT
    'customer-' || leftPad(toString(number), 4, '0'), now, number * 1048576 + 1, 'live',
    if(silent = 0, 1 + number % 9, 0), if(silent = 0, number % 3, 0), if(silent = 0, number % 2, 0),
    if(silent < 7, 5 + number % 40, 0), if(silent < 7, number % 4, 0), if(silent < 7, number % 2, 0),
    if(silent < 90, 12 + number % 250, 0), if(silent < 90, number % 12, 0), 15 + number % 900, number % 40,
    if(silent < 30, 20 + number % 200, 0), if(silent < 30, 10 + number % 100, 0), if(silent < 30, number % 9, 0),
    if(silent < 30, 1 + number % 3, 0), if(silent < 90, 1 + number % 6, 0), if(silent < 365, orders, 0),
    if(silent < 30, 1 + number % 3, 0) * 20, if(silent < 90, 1 + number % 6, 0) * 20, if(silent < 365, orders, 0) * 20,
    if(silent < 7, 1 + number % 5, 0), if(silent < 30, 1 + number % 20, 0), if(silent < 30, 2 + number % 30, 0),
    now - INTERVAL 400 DAY, now - INTERVAL silent DAY, now - INTERVAL silent DAY,
    orders, orders * 20, 40 * orders, silent, silent,
    arrayMap(i -> toFloat32(if(i = number % 384, 1, 0)), range(384)),
    churn, multiIf(churn < 0.33, 'low', churn < 0.66, 'medium', 'high'),
    orders * 12 * (1 - churn), multiIf(orders < 5, 'low', orders < 12, 'mid', 'high'),
    map(names[1 + number % 5], 0.75, names[1 + (number + 1) % 5], 0.25),
    if(number % 4 = 0, (number % 201 - 100) / 100, NULL),
    [('days_since_last_order', toFloat32(silent / 50)), ('orders_90d', toFloat32(-0.4))],
    number % 97 = 0, 'sample-1/f32', 'sample', number % 8, number, now - INTERVAL number % 3000 MILLISECOND, now
FROM numbers(1000);

INSERT INTO profilestream.profile_history
    (user_id, as_of, row_version, trigger, product_views_24h, cart_adds_24h, orders_24h, revenue_24h, last_seen, orders_total,
     orders_90d, revenue_30d, active_days_7d, first_seen, days_since_last_order, churn_probability, churn_band,
     value_expected, value_band, model_version, config_version, log_partition, log_offset, kafka_time, scored_at)
WITH toDateTime64('2026-02-01 23:59:59.999', 3, 'UTC') + INTERVAL number % 28 DAY AS day, intDiv(number, 28) AS u, cityHash64(number) AS h
SELECT
    'customer-' || leftPad(toString(u), 4, '0'), day, number * 1048576 + 1, if(u % 3 = 0, 'silence', 'day'),
    if(u % 3 = 0, 0, h % 5) AS viewed, if(viewed > 0, h % 3, 0) AS added, if(added > 0, h % 2, 0) AS bought, bought * 20,
    if(u % 3 = 0, toDateTime64('2026-01-20 12:00:00', 3, 'UTC'), day), 1 + u % 17,
    1 + u % 6, (1 + u % 3) * 20, 1 + u % 5, toDateTime64('2026-02-01 00:00:00', 3, 'UTC') - INTERVAL u % 120 DAY, u % 40,
    least(0.98, 0.1 + u % 50 / 100 + number % 28 / 100) AS churn, multiIf(churn < 0.33, 'low', churn < 0.66, 'medium', 'high'),
    (1 + u % 17) * 12, multiIf(u % 17 < 5, 'low', u % 17 < 12, 'mid', 'high'), 'sample-1/f32', 'sample', u % 8, number, day, day
FROM numbers(28000);

INSERT INTO profilestream.accounting_rows
SELECT ['clickstream', 'purchases'][1 + number % 2], intDiv(number, 2) % 4, intDiv(number, 8), 900 + number,
    if(number % 2 = 0, 10240, 2032), if(number % 2 = 0, 240, 32), if(number % 2 = 0, 1220, 246), if(number % 2 = 0, 20, 3), if(number % 2 = 0, 10, 1), 0,
    toDateTime64('2026-03-01 12:00:00', 3, 'UTC')
FROM numbers(64);

INSERT INTO profilestream.bad_event_rows
SELECT if(number % 4 = 0, 'purchases', 'clickstream'), number % 4, number, ['bad_json', 'missing_field', 'bad_time', 'bad_amount'][1 + number % 4],
    ['', 'user_id', 'ts', 'total'][1 + number % 4], '', '{"made": "up"}', 0, toDateTime64('2026-03-01 10:00:00', 3, 'UTC') - INTERVAL number HOUR, number, 0
FROM numbers(40);

INSERT INTO profilestream.drift_rows (day, model_version, name, psi, rows, edges, expected, actual)
SELECT toDate('2026-02-15') + number % 14, 'sample-1/f32', ['orders_90d', 'revenue_30d', 'days_since_last_event', 'churn_probability', 'value_expected'][1 + intDiv(number, 14)] AS column,
    if(column = 'revenue_30d', NULL, 0.01 + number % 14 / 100 * intDiv(number, 14)), 1000, [1, 2], [0.3, 0.3, 0.4, 0], [0.2, 0.3, 0.5, 0]
FROM numbers(70);

INSERT INTO profilestream.model_quality_rows (week, model_version, horizon_days, rows, churned, mean_probability, roc_auc, brier, ece, mean_value, mean_spent)
SELECT toDate('2025-10-06') + 7 * number, 'sample-1/f32', 90, 900 + number, 400 + number, 0.45, 0.78 - number / 400, 0.18 + number / 500, 0.03 + number / 300, 42, 40 + number
FROM numbers(8);

INSERT INTO profilestream.shadow_move_rows (candidate, current, day, kind, from_band, to_band, users, churn_current, churn_candidate, value_current, value_candidate)
WITH ['low', 'medium', 'high'] AS bands, 1 + intDiv(number, 3) AS a, 1 + number % 3 AS b
SELECT 'sample-2', 'sample-1', toDate('2026-02-28'), 'churn_band', bands[a], bands[b], if(a = b, 300, 20) AS users, users * (a - 0.5) / 3, users * (b - 0.5) / 3, users * 20, users * 21
FROM numbers(9);

INSERT INTO profilestream.late_event_rows
SELECT 'clickstream', number % 4, number, 'late', '', '', '{"made": "up"}', 0, toDateTime64('2026-03-01 10:00:00', 3, 'UTC') - INTERVAL number HOUR, number, 0
FROM numbers(20);
