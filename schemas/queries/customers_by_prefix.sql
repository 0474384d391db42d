-- Customers whose id begins with a text, in the order of their ids
-- prefix = customer-00
-- limit = 20
SELECT user_id, toFloat64(churn_probability) AS churn_probability, churn_band, toFloat64(value_expected) AS value_expected, value_band, last_seen, orders_total
FROM profiles_latest
WHERE startsWith(user_id, {prefix:String})
ORDER BY user_id
LIMIT {limit:UInt16}
