CREATE OR REPLACE VIEW {{.View}} AS
SELECT week, was_churn, churn_band, was_value, value_band, customers, round(expected, 2) AS expected, refreshed_at
FROM {{.Source}}.band_weeks
COMMENT 'How many customers went from which bands to which from the end of the week before to the end of the week (Monday named)'
