-- What each model said by week: mean churn, spread and share of each band
-- from = 2025-12-01 00:00:00
-- to = 2026-03-02 00:00:00
SELECT toDateTime(week, 'UTC') AS time, model_version, mean_churn, spread, low_share, medium_share, high_share, mean_expected, degraded_share, rows
FROM model_quality_weeks
WHERE week >= toDate({from:DateTime}) AND week <= toDate({to:DateTime})
ORDER BY week, model_version
