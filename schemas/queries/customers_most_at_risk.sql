-- The fifty customers with most spend at risk and why
SELECT user_id, round(churn_probability, 3) AS churn, round(value_expected, 2) AS expected, round(at_risk, 2) AS at_risk, orders_total AS orders,
    toFloat64(revenue_total) AS revenue, days_since_last_order AS silent_days, interest, reason
FROM customers_at_risk
ORDER BY customers_at_risk.at_risk DESC, user_id
LIMIT 50
