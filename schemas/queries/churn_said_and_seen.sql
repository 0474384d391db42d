-- Mean probability of churn said, and share of churn seen, by week of scoring
SELECT toDateTime(week) AS time, sum(mean_probability * rows) / sum(rows) AS said, sum(churned) / sum(rows) AS seen
FROM model_quality
GROUP BY week
ORDER BY time
