-- How good the scores of the newest weeks turned out to be
-- limit = 12
SELECT week, model_version, rows, churn_rate, mean_probability, roc_auc, brier, ece
FROM model_quality
ORDER BY week DESC, model_version
LIMIT {limit:UInt16}
