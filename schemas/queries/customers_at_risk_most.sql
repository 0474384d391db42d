-- Customers with the most expected spend at risk, and the strongest reason for each
-- limit = 10
SELECT user_id, toFloat64(churn_probability) AS churn_probability, churn_band, toFloat64(value_expected) AS value_expected, value_band,
    toFloat64(value_expected * churn_probability) AS at_risk, days_since_last_order, arrayFirst(r -> r.2 > 0, reasons).1 AS reason
FROM profiles_latest
WHERE orders_total > 0 AND NOT has(flags, 'bot')
ORDER BY at_risk DESC, user_id
LIMIT {limit:UInt16}
