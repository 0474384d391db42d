-- What moves one customer's churn, in log-odds, largest first
-- user = customer-0007
SELECT r.1 AS reason, round(r.2, 3) AS effect
FROM profiles_latest
ARRAY JOIN reasons AS r
WHERE user_id = {user:String}
ORDER BY abs(r.2) DESC
