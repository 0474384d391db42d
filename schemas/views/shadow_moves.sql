CREATE OR REPLACE VIEW {{.View}} AS
SELECT candidate, current, day, kind, from_band, to_band, users, churn_current, churn_candidate, value_current, value_candidate, computed_at
FROM {{.Source}}.shadow_move_rows FINAL
COMMENT 'How many customers a candidate model would move between bands and segments, by profilectl model shadow'
