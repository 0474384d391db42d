-- Customers whose id begins with a text
-- prefix = customer-00
SELECT user_id, churn_band, value_band, round(value_expected, 2) AS expected, last_seen
FROM profiles_latest
WHERE startsWith(user_id, {prefix:String})
ORDER BY user_id
LIMIT 20
