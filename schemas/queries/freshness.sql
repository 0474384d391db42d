-- How fresh the current profiles are, in seconds from event to score, and how many were scored without text
SELECT max(scored_at) AS newest, round(quantile(0.5)(dateDiff('millisecond', kafka_time, scored_at)) / 1000, 3) AS p50,
    round(quantile(0.99)(dateDiff('millisecond', kafka_time, scored_at)) / 1000, 3) AS p99, countIf(degraded) AS degraded
FROM profiles_latest
