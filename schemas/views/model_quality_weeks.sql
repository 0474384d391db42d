CREATE OR REPLACE VIEW {{.View}} AS
SELECT week, model_version, rows, round(churn / rows, 4) AS mean_churn, round(sqrt(greatest(squares / rows - pow(churn / rows, 2), 0)), 4) AS spread,
    round(low / rows, 4) AS low_share, round(medium / rows, 4) AS medium_share, round(high / rows, 4) AS high_share,
    round(expected / rows, 2) AS mean_expected, round(degraded / rows, 4) AS degraded_share, refreshed_at
FROM {{.Source}}.model_weeks
COMMENT 'By week and model: mean and spread of the churn score, share of each band, mean expected spend, share scored without text'
