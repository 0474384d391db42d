CREATE OR REPLACE VIEW {{.View}} AS
SELECT
    week, model_version, horizon_days, rows, churned, churned / rows AS churn_rate, mean_probability,
    roc_auc, brier, ece, mean_value, mean_spent, computed_at
FROM {{.Source}}.model_quality_rows FINAL
COMMENT 'How good the scores of each week and model_version turned out to be, once their horizon had passed'
