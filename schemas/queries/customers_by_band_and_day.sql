-- Customers of each churn band by day
-- from = 2025-12-01 00:00:00
-- to = 2026-03-02 00:00:00
SELECT toDateTime(day, 'UTC') AS time, sumIf(r.customers, churn_band = 'low') AS low, sumIf(r.customers, churn_band = 'medium') AS medium,
    sumIf(r.customers, churn_band = 'high') AS high
FROM revenue_at_risk AS r
WHERE day >= toDate({from:DateTime}) AND day <= toDate({to:DateTime})
GROUP BY day
ORDER BY day
