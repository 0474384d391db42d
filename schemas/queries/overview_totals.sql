-- How many customers there are, how many are active or at risk, and what is at stake, now
SELECT count() AS customers, countIf(active_days_30d > 0) AS active_30d, countIf(churn_band = 'high') AS high_risk,
    round(sum(value_expected), 2) AS expected, round(sum(value_expected * churn_probability), 2) AS at_risk, toFloat64(sum(revenue_30d)) AS revenue_30d
FROM profiles_latest
