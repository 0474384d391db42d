-- How good the scores of each week turned out to be, by model version
SELECT week, model_version, rows, round(churn_rate, 3) AS churn_rate, round(mean_probability, 3) AS mean_probability,
    round(roc_auc, 3) AS roc_auc, round(brier, 3) AS brier, round(ece, 3) AS ece, round(mean_value, 2) AS mean_value, round(mean_spent, 2) AS mean_spent
FROM model_quality
ORDER BY week, model_version
