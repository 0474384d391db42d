-- What changed for one customer since the newest day row at least a week older than the last one
-- user = customer-0007
WITH (SELECT max(as_of) FROM profile_days WHERE user_id = {user:String}) AS last
SELECT part.1 AS measure, round(part.2, 3) AS a_week_before, round(part.3, 3) AS now, round(part.3 - part.2, 3) AS change
FROM
(
    SELECT argMaxIf(row, as_of, as_of <= last - INTERVAL 7 DAY) AS was, argMax(row, as_of) AS is
    FROM
    (
        SELECT as_of, (toFloat64(churn_probability), toFloat64(value_expected), toFloat64(page_views_30d), toFloat64(orders_90d), toFloat64(revenue_90d),
            toFloat64(days_since_last_event)) AS row
        FROM profile_days
        WHERE user_id = {user:String}
    )
    HAVING countIf(as_of <= last - INTERVAL 7 DAY) > 0
)
ARRAY JOIN [('churn_probability', was.1, is.1), ('value_expected', was.2, is.2), ('page_views_30d', was.3, is.3), ('orders_90d', was.4, is.4),
    ('revenue_90d', was.5, is.5), ('days_since_last_event', was.6, is.6)] AS part
