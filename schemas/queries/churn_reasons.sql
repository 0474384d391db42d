-- Which features drive churn up most often, now
SELECT r.1 AS reason, count() AS customers
FROM profiles_latest
ARRAY JOIN reasons AS r
WHERE r.2 > 0
GROUP BY reason
ORDER BY customers DESC, reason
LIMIT 12
