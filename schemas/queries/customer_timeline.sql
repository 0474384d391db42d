-- One customer's day rows: windows, scores and the first reason
-- user = customer-0007
SELECT toDate(as_of) AS day, trigger, round(churn_probability, 4) AS churn_probability, churn_band, round(value_expected, 2) AS value_expected,
    value_band, orders_30d, toFloat64(revenue_30d) AS revenue_30d, page_views_30d, days_since_last_order, reasons[1].1 AS reason, model_version
FROM profile_days
WHERE user_id = {user:String}
ORDER BY as_of
