-- Expected spend and what of it is at risk by day
-- from = 2025-12-01 00:00:00
-- to = 2026-03-02 00:00:00
SELECT toDateTime(day, 'UTC') AS time, sum(r.customers) AS customers, sum(r.expected) AS expected, sum(r.at_risk) AS at_risk
FROM revenue_at_risk AS r
WHERE day >= toDate({from:DateTime}) AND day <= toDate({to:DateTime})
GROUP BY day
ORDER BY day
