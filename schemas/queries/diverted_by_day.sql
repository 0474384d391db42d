-- Dead-lettered and late records by day and reason
-- from = 2025-12-01 00:00:00
-- to = 2026-03-02 00:00:00
SELECT toDateTime(day, 'UTC') AS time, reason, sum(d.records) AS records
FROM diverted_days AS d
WHERE day >= toDate({from:DateTime}) AND day <= toDate({to:DateTime})
GROUP BY day, reason
ORDER BY day, reason
