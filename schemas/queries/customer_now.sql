-- One customer's current profile
-- user = customer-0007
SELECT user_id, as_of, round(churn_probability, 3) AS churn, churn_band, round(value_expected, 2) AS expected, value_band, orders_total AS orders,
    toFloat64(revenue_total) AS revenue, first_seen, last_seen, last_order_at, days_since_last_order AS silent_days, interests, sentiment, degraded, model_version
FROM profiles_latest
WHERE user_id = {user:String}
