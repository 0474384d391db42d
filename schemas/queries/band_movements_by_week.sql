-- Customers who went to a riskier churn band, or back to a safer one, by week
-- from = 2025-12-01 00:00:00
-- to = 2026-03-02 00:00:00
WITH ['low', 'medium', 'high'] AS bands
SELECT toDateTime(week, 'UTC') AS time, sumIf(m.customers, indexOf(bands, churn_band) > indexOf(bands, was_churn)) AS worse,
    sumIf(m.customers, indexOf(bands, churn_band) < indexOf(bands, was_churn)) AS better
FROM band_movements AS m
WHERE was_churn != '' AND week >= toDate({from:DateTime}) AND week <= toDate({to:DateTime})
GROUP BY week
ORDER BY week
