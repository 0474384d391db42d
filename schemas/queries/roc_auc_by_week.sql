-- ROC-AUC of churn by week of scoring, once its horizon has passed
SELECT toDateTime(week) AS time, model_version AS series, assumeNotNull(roc_auc) AS roc_auc
FROM model_quality
WHERE roc_auc IS NOT NULL
ORDER BY time
